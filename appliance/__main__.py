"""`python -m appliance` is `anonbox`."""

from appliance.cli import main

main()
