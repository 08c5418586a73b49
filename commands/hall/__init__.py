"""Work that needs the checkers and the simulator both; these two do not know each other.

Findings get their witnesses and prices here, fixes are checked by the machine, and scenarios are
held against the rules. Commands import these modules when they run, never at their top.
"""
