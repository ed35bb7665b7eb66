"""Names in scopes, with and without a scope."""

import pytest

from ckpt.core.scope_names import inside, scope_prefix


@pytest.mark.parametrize(
    ("scope", "prefix"), [("a/b", "a/b/"), ("a/b/", "a/b/"), ("", ""), (None, "")]
)
def test_the_prefix_of_a_scope_ends_with_one_slash(scope, prefix):
    assert scope_prefix(scope) == prefix


@pytest.mark.parametrize(("scope", "name"), [("a", "a/x"), ("", "x"), (None, "x")])
def test_a_name_in_a_scope(scope, name):
    assert inside(scope, "x") == name
