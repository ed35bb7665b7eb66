"""Rules that every operation and every format must keep, written once and applied to tables of cases."""
