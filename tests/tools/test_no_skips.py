"""A skip is a failure where CI=true, and only there."""

import pytest

SKIPPING_TESTS = {
    "in_the_test": "import pytest\ndef test_it(): pytest.skip('no widget')",
    "in_a_fixture": """
        import pytest
        @pytest.fixture
        def widget(): pytest.skip('no widget')
        def test_it(widget): pass
    """,
    "by_mark": "import pytest\n@pytest.mark.skip(reason='no widget')\ndef test_it(): pass",
    "by_condition": "import pytest\n@pytest.mark.skipif(True, reason='no widget')\ndef test_it(): pass",
    "whole_module": "import pytest\npytest.skip('no widget', allow_module_level=True)\ndef test_it(): pass",
    "missing_import": "import pytest\npytest.importorskip('no_such_module', reason='no widget')\ndef test_it(): pass",
}
OTHER_TESTS = """
    import pytest
    def test_passes(): pass
    def test_fails(): raise AssertionError
    @pytest.mark.xfail(strict=True)
    def test_known_to_fail(): raise AssertionError
    @pytest.mark.e2e
    def test_elsewhere(): raise AssertionError
"""


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    # Loading what is installed takes ten times as long as these runs.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makeini("[pytest]\nmarkers = e2e: needs a cluster")
    options = ("-p", "tests.programs.no_skips", "-p", "no:cacheprovider", "-ra", "-m", "not e2e")
    return pytester.runpytest_inprocess(*options, "--continue-on-collection-errors")


@pytest.mark.parametrize("ci", ["true", "1", "True"])
def test_in_ci_a_skip_fails_and_keeps_its_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(**{f"test_{name}": source for name, source in SKIPPING_TESTS.items()})
    result = run(pytester)
    assert result.ret != pytest.ExitCode.OK
    # A module that skips itself is an error of collecting it, a fixture that skips is one of setting up.
    assert result.parseoutcomes() == {"failed": 1, "errors": 5}
    refused = [line for line in result.outlines if line.startswith("skipped, and with CI=true nothing may be skipped")]
    assert len(refused) == len(SKIPPING_TESTS)
    assert all("no widget" in line for line in refused)


@pytest.mark.parametrize("ci", [None, "", "false", "0"])
def test_elsewhere_a_skip_is_a_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str | None) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    pytester.makepyfile(**{f"test_{name}": source for name, source in SKIPPING_TESTS.items()})
    assert run(pytester).parseoutcomes() == {"skipped": len(SKIPPING_TESTS)}


def test_in_ci_passing_failing_expected_and_deselected_tests_stay_what_they_are(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(OTHER_TESTS)
    assert run(pytester).parseoutcomes() == {"passed": 1, "failed": 1, "xfailed": 1, "deselected": 1}
