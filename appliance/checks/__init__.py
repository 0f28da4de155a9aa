"""Whether this machine can do the work: doctor.py says what it has and lacks, selftest.py tries it, rehearsal.py is its box."""
