"""What steers, written in one line: `1.5 bomb-03 - 0.5 calm@generated + !refusal@blocks:all`.

    EXPR = [-] TERM {(+|-) TERM}          the signs between terms stand between spaces
    TERM = [NUMBER space] [!] NAME {@AT}  |  NAME=NUMBER {@AT}
    AT   = all | prompt | generated | first:N | after:N | last:K | at:I,J      which tokens
         | blocks:all | blocks:I-J                                             which blocks
         | add | set | keep-norm                                               how (`!` ablates)
         | when:NAME>X | when:NAME<X                                           a gate, for each token

Of each line of AT a term has one at most. A bare NAME has letters, digits and `_ . - / :`, does not begin with `-` and is no
number; any other stands in double quotes, `""` for a quote in it. A NUMBER is decimal, with a sign, a point and an exponent
where wanted. docs/steering.md says what each part does to the residual stream.

`parse` reads a text, `str` and `written` print it in one normal form, `to_json` and `from_json` keep it in files, by id. Who
has the library resolves names: `Expression.resolved`, `unknown_name`, `ambiguous_name`. Plain Python: no torch, no numpy.
"""

from vectors.expression.blocks import Blocks
from vectors.expression.completing import Replacement, completed_texts, completions
from vectors.expression.error import ExpressionError, Place
from vectors.expression.kept import KeptGate, KeptTerm, from_json, restored, to_json
from vectors.expression.names import ambiguous_name, feature, nearest, unknown_name
from vectors.expression.parser import parse, written
from vectors.expression.tokens import Tokens
from vectors.expression.tree import OPERATIONS, Expression, Gate, Term
from vectors.expression.words import written_name

__all__ = [
    "OPERATIONS",
    "Blocks",
    "Expression",
    "ExpressionError",
    "Gate",
    "KeptGate",
    "KeptTerm",
    "Place",
    "Replacement",
    "Term",
    "Tokens",
    "ambiguous_name",
    "completed_texts",
    "completions",
    "feature",
    "from_json",
    "nearest",
    "parse",
    "restored",
    "to_json",
    "unknown_name",
    "written",
    "written_name",
]
