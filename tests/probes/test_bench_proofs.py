"""What the proofs of probes make of many tests together."""

from bench.proofs.probe_partial_products import together


def test_many_causal_tests_are_judged_together() -> None:
    """Sixteen tests, one with p = 0.02: alone it would say that a product is used."""
    found = [{"p": 0.02, "followed": True}, *({"p": 0.5, "followed": False} for _ in range(15))]
    told = together([*found, {"not_measured": "nothing varies there"}])
    assert (told["tests"], told["used"], told["used_by_tests_alone"]) == (16, 0, 1)
    assert told["expected_by_chance"] == 0.4
    sure = together([{"p": 1e-5, "followed": True}, *found[1:]])
    assert sure["used"] == 1
    assert together([])["tests"] == 0
