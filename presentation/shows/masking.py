"""Masking of natural persons' names and numbers in the `minimal` profile (`FORMAT.md` §3.2)."""

SHORT_NUMBER = 8  # up to here, two characters at each end would say too much


def mask_name(name: str) -> str:
    """`张三丰` → `张**`. Several holders, joined with `、`, are masked one by one."""
    return "、".join(part[:1] + "*" * (len(part) - 1) for part in name.split("、"))


def mask_number(number: str) -> str:
    """`310101199001011234` → `31**************34`; of 8 characters or fewer only the last two stay."""
    kept = 0 if len(number) <= SHORT_NUMBER else 2
    hidden = max(len(number) - kept - 2, 0)
    return number[:kept] + "*" * hidden + number[kept + hidden :]
