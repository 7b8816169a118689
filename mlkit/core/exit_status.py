"""Exit statuses by which processes that train together say why they end."""

STOPPED = 85  # it was asked to end, by SIGTERM, and has saved its training: started again, it goes on
TIMED_OUT = 124  # it has waited too long for others
