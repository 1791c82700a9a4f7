"""Where teachers come from: what a person names is read, examined, and never trusted."""

from juyi.distill.teachers.doubt import doubt_teacher
from juyi.distill.teachers.ensemble import Ensemble
from juyi.distill.teachers.options import TeacherOptions
from juyi.distill.teachers.reading import as_teacher, fit_classes, is_code, of_served, read_teacher

__all__ = [
    "Ensemble",
    "TeacherOptions",
    "as_teacher",
    "doubt_teacher",
    "fit_classes",
    "is_code",
    "of_served",
    "read_teacher",
]
