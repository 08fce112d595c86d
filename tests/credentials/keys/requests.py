"""What the tests ask for."""

from credentials.keys import Authority, KeyPurpose, KeyRequest

URL = "https://wallet.example"
PASSPHRASE = b"a long and random passphrase"
MARKET = Authority("11310000MB2F30042K", "某市市场监督管理局")
PLATFORM_KEYS = tuple(KeyRequest(purpose) for purpose in (KeyPurpose.TRUST_LIST, KeyPurpose.STATUS, KeyPurpose.PASS))
MARKET_KEY = KeyRequest(KeyPurpose.CREDENTIAL, MARKET, ("food-business", "business-licence"))
WANTED = (*PLATFORM_KEYS, MARKET_KEY)
