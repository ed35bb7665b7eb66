"""`python -m ckpt`: the command line."""

from ckpt.cli.main import main

if __name__ == "__main__":
    main()
