"""The one exception that users are meant to see."""


class ResurveyError(Exception):
    """A failure a user can mend: says what is wrong, in which file or key, and what to type instead."""
