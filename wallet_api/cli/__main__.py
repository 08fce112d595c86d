"""`python -m wallet_api.cli`: the same as `liangzheng`."""

from wallet_api.cli import main

main()
