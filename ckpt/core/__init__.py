"""The vocabulary of the house: small values that every room shares. Knows numpy only."""
