"""Licences and what is issued from them.

`catalogue` what types there are · `registry` the licences themselves · `issuance` credentials for wallets ·
`status` whether they still hold · `keys` who signs, and whom readers trust.
"""
