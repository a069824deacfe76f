"""The README's example, before an issuer that answers as the contract says."""

from tests.kit.issuer_double import API_KEY
from tests.kit.readme_example import running_example


def test_the_example_runs_as_it_is_written(issuer, tmp_path):
    with running_example(tmp_path, issuer.url, API_KEY) as example:
        said = example.customer("ada@example.test", "Correct-Horse")
        assert said == {
            "me:": str({"id": issuer.member_id, "roles": ["user"]}),
            "publish:": "403",
            "edit:": "403",
        }
        issuer.allowed.add((issuer.member_id, "content.publish", None))
        issuer.allowed.add((issuer.member_id, "edit", "Content:42"))
        issuer.tell(issuer.member_id)
        said = example.customer("ada@example.test", "Correct-Horse")
        assert (said["publish:"], said["edit:"]) == ("200", "200")
