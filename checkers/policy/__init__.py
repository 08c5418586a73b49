"""What a team has decided: configuration, suppressions and a baseline, applied after the rules.

Rules never see any of it: findings are made first and judged late.
"""
