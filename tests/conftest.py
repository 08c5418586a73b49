"""Settings that hold for every test."""

from hypothesis import settings

# No deadline: the time of one example says nothing on a shared machine. The blob makes a failure
# that was found elsewhere repeatable here.
settings.register_profile("streamsan", deadline=None, print_blob=True)
settings.load_profile("streamsan")
