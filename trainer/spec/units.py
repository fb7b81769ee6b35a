"""Units of time and audio, and the constants between them."""

MICROSECONDS_PER_SECOND = 1_000_000
SECONDS_PER_DAY = 86_400
MICROSECONDS_PER_DAY = SECONDS_PER_DAY * MICROSECONDS_PER_SECOND
DAYS_PER_WEEK = 7

SAMPLE_RATE_HZ = 16_000  # of sounds in wire form
