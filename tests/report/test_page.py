import pytest

from stages.report import page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("less than `crop.min_area` of it", "less than <code>crop.min_area</code> of it"),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("<b> & a lone ` here", "&lt;b&gt; &amp; a lone ` here"),
        ("`<script>`", "<code>&lt;script&gt;</code>"),
    ],
)
def test_names_between_backticks_are_code_and_nothing_else_is_markup(text, html):
    assert page.with_code(text) == html
