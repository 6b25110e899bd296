from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.training import Recipe, build_tokenizer, read_log, train
from interp.training.evaluation import score
from interp.training.forward import forward
from interp.training.objectives import (
    AnswerLoss,
    ImplicitChain,
    RunningSumLoss,
    ScratchpadLoss,
    Step,
    objective_from,
)
from interp.training.objectives.icot import EVERYTHING, chain_length
from interp.training.rows import Encoder
from interp.training.run_state import TrainingRun

START = Step(0, 100, 0)
MUL = {"task": "mul:2x2", "d_model": 16, "n_heads": 2, "steps": 100, "precision": "float32"}


def recipe_with(objective, **changes) -> Recipe:
    forms = {ImplicitChain: "icot", ScratchpadLoss: "scratchpad"}
    form = forms.get(type(objective), "reversed")
    return Recipe(name="x", objective=objective, **({"format": form} | MUL | changes))


@pytest.mark.parametrize(
    "objective",
    [
        AnswerLoss(double=True),
        RunningSumLoss(weight=3.0, end=0.5, layer=0, heads=(1,), scale=7.0, columns=(1, 2)),
        ImplicitChain(stage=5, removed=2, pretrain=3, smoothing=None, all_beyond=9, restart=False),
        ScratchpadLoss(),
    ],
)
def test_objectives_survive_json(objective):
    assert objective_from(objective.to_json()) == objective


def test_double_takes_logarithms_in_float64():
    """A model that is certain: in float32 its loss, and so its gradient, is rounded to zero."""
    run = TrainingRun.start(recipe_with(AnswerLoss(), tied=False))
    with torch.no_grad():
        run.model.lm_head.weight.mul_(300)
    rows = run.encoder(run.stream.training(0))
    with torch.no_grad():
        logits = forward(run.model, rows.tokens[:, :-1], rows.start).logits
    losses = AnswerLoss(double=True).losses(run.model, {}, rows, START)
    expected = -logits.double().log_softmax(-1)
    targets = rows.tokens[:, rows.start + 1 :, None]
    assert losses.total.dtype == torch.float64
    assert float(losses.total.detach()) == pytest.approx(
        float(expected.gather(2, targets).mean()), rel=1e-12
    )


# Running sum


@pytest.mark.parametrize(("position", "further"), [("before", 0), ("after", 1)])
def test_running_sum_loss_against_the_heads_of_hugging_face(position, further):
    """Every number of the auxiliary loss worked out from the module's own attention output."""
    objective = RunningSumLoss(weight=2.0, layer=1, heads=(1,), scale=10.0, position=position)
    recipe = recipe_with(objective)
    run = TrainingRun.start(recipe)
    rows = run.encoder(run.stream.training(0))
    losses = objective.losses(run.model, run.extra, rows, START)

    seen = []
    projection = run.model.transformer.h[1].attn.c_proj
    handle = projection.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    logits = run.model(rows.tokens).logits[:, :-1]
    handle.remove()
    z = seen[0].unflatten(2, (2, 8))[:, :, 1]  # [n, T, d_head] of head 1
    text = format("reversed").render(rows.problems)[0].text
    equals = text.index("=")
    error = 0.0
    for k in range(4):  # c_k is written by the position before it, and answers are least first
        known = z[:, equals + k + further] @ run.extra["readout"][0]
        truth = torch.tensor(rows.problems.truth[f"running_sum[{k}]"].to_numpy(), dtype=torch.float)
        error += float(((known - truth / 10) ** 2).mean().detach()) / 4
    answer = F.cross_entropy(
        logits[:, equals:].flatten(0, 1), rows.tokens[:, equals + 1 :].flatten()
    )
    assert float(losses.terms["running_sum"].detach()) == pytest.approx(error, rel=1e-4)
    assert float(losses.total.detach()) == pytest.approx(
        float(answer.detach()) + 2 * error, rel=1e-4
    )


def test_several_heads_each_read_the_sum_alone():
    both = RunningSumLoss()
    run = TrainingRun.start(recipe_with(both))
    rows = run.encoder(run.stream.training(0))
    assert run.extra["readout"].shape == (2, 8)
    total = both.losses(run.model, run.extra, rows, START).terms["running_sum"]
    singles = []
    for head in (0, 1):
        own = {"readout": run.extra["readout"][head : head + 1]}
        one = RunningSumLoss(heads=(head,)).losses(run.model, own, rows, START)
        singles.append(float(one.terms["running_sum"].detach()))
    assert float(total.detach()) == pytest.approx(np.mean(singles), rel=1e-5)


def test_the_weight_goes_from_start_to_end():
    objective = RunningSumLoss(weight=4.0, end=0.0)
    assert [objective.weight_at(Step(t, 8, 0)) for t in (0, 2, 4)] == [4.0, 3.0, 2.0]
    assert RunningSumLoss(weight=4.0).weight_at(Step(7, 8, 0)) == 4.0


def test_the_readout_is_trained_saved_and_not_shipped(tmp_path):
    from safetensors.torch import load_file

    recipe = recipe_with(
        RunningSumLoss(), steps=6, batch=16, evaluate_n=10, card_n=20, checkpoint_every=3
    )

    class Stop(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise Stop

    train(recipe, tmp_path / "unbroken")
    with pytest.raises(Stop):
        train(recipe, tmp_path / "broken", progress=stop)
    saved = load_file(tmp_path / "broken/checkpoints/step-00000003/weights.safetensors")
    fresh = RunningSumLoss().parameters(recipe)["readout"]
    assert not torch.equal(saved["extra.readout"], fresh)
    train(recipe, tmp_path / "broken")
    files = [tmp_path / name / "model.safetensors" for name in ("broken", "unbroken")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not [name for name in load_file(files[0]) if "readout" in name]


@pytest.mark.parametrize(
    ("objective", "changes", "message"),
    [
        (RunningSumLoss(position="at"), {}, "position='at': 'before' is where c_k is predicted"),
        (RunningSumLoss(), {"task": "mod:7", "format": "modular"}, "needs running sums, and mod:7"),
        (RunningSumLoss(layer=2), {}, "layer=2: the model has 2 layers"),
        (RunningSumLoss(layer=-3), {}, "layer=-3: the model has 2 layers"),
        (RunningSumLoss(heads=(0, 2)), {}, r"heads=\(0, 2\) must be different numbers from 0 to 1"),
        (RunningSumLoss(heads=(0, 0)), {}, "must be different numbers"),
        (RunningSumLoss(heads=()), {}, "must be different numbers"),
        (RunningSumLoss(columns=(4,)), {}, r"columns=\(4,\) must be different numbers from 0 to 3"),
        (RunningSumLoss(scale=0), {}, "scale must be above 0"),
        (RunningSumLoss(weight=-1), {}, "not below 0"),
        (ImplicitChain(), {"format": "reversed"}, "needs a chain of thought to take away"),
        (ImplicitChain(stage=0), {}, "stage and removed must be at least 1"),
        (ImplicitChain(smoothing=0.0), {}, r"smoothing=0.0 must be above 0, or None"),
        (ImplicitChain(all_beyond=-1), {}, "all_beyond=-1"),
        (ScratchpadLoss(), {"format": "reversed"}, "needs a scratchpad"),
        (AnswerLoss(), {"format": "scratchpad", "task": "add:2"}, "use the objective 'scratchpad'"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused(objective, changes, message):
    with pytest.raises(InputError, match=message):
        recipe_with(objective, **changes)


# Implicit chain of thought


@pytest.fixture
def encoder() -> Encoder:
    recipe = recipe_with(ImplicitChain())
    return Encoder(build_tokenizer(recipe), task("mul:2x2"), "icot")


def words(encoder: Encoder, rows, row: int) -> list[str]:
    found = encoder.tokenizer.convert_ids_to_tokens(rows.tokens[row].tolist())
    return [word for word in found if word != "<pad>"]


@settings(max_examples=30)
@given(step=st.integers(0, 200), seed=st.integers(0, 5))
def test_thoughts_go_from_the_left_one_by_one(step, seed):
    recipe = recipe_with(ImplicitChain())
    encoder = Encoder(build_tokenizer(recipe), task("mul:2x2"), "icot")
    objective = ImplicitChain(stage=40, removed=4, pretrain=20, smoothing=None)
    problems = task("mul:2x2").sample(5, seed=seed)
    rows = objective.rows(encoder, problems, Step(step, 200, seed))
    length = chain_length(recipe)
    gone = min(max(0, step - 20) // 10, length)
    for row, written in enumerate(format("icot").render(problems)):
        whole = encoder.tokenizer.tokenize(written.text)
        bar = whole.index("||") + 1
        assert words(encoder, rows, row) == whole[:bar] + whole[bar + gone :]
        learnt = rows.tokens[row][rows.learnt[row]].tolist()
        assert encoder.tokenizer.convert_ids_to_tokens(learnt) == whole[bar + gone :]
        digits = encoder.tokenizer.convert_ids_to_tokens(
            rows.tokens[row][rows.digits[row]].tolist()
        )
        assert [int(word) for word in digits] == problems.answer[row].tolist()


def test_without_its_chain_a_line_is_that_of_the_final_format(encoder):
    problems = task("mul:2x2").sample(8, seed=1)
    rows = ImplicitChain(stage=1, removed=1000).rows(encoder, problems, Step(5, 10, 0))
    final = Encoder(encoder.tokenizer, task("mul:2x2"), "icot-no-cot")(problems)
    assert torch.equal(rows.tokens, final.tokens)
    assert torch.equal(rows.digits, final.digits)


def test_smoothing_removes_a_little_more_in_a_few_rows(encoder):
    problems = task("mul:2x2").sample(4000, seed=2)
    full = encoder(problems, thoughts=True)
    extra = []
    for smoothing in (0.5, 4.0):
        rows = ImplicitChain(smoothing=smoothing).rows(encoder, problems, Step(0, 10, 7))
        removed = (full.digits - rows.digits)[:, 0]
        extra.append([(removed == o).float().mean().item() for o in range(3)])
    for smoothing, found in zip((0.5, 4.0), extra, strict=True):
        expected = [(1 - np.exp(-smoothing)) * np.exp(-smoothing * o) for o in range(3)]
        assert found == pytest.approx(expected, abs=0.02)


def test_beyond_a_number_of_tokens_all_go(encoder):
    objective = ImplicitChain(stage=10, removed=1, smoothing=None, all_beyond=2)
    problems = task("mul:2x2").sample(3, seed=0)
    widths = [
        objective.rows(encoder, problems, Step(step, 100, 0)).tokens.shape[1]
        for step in (0, 29, 30)
    ]
    length = chain_length(recipe_with(objective))
    assert widths == [widths[0], widths[0] - 2, widths[0] - length]


def test_the_optimiser_restarts_at_each_removal_until_the_chain_is_gone():
    objective = ImplicitChain(stage=10, removed=2, pretrain=3)
    recipe = recipe_with(objective, steps=400)
    steps = [Step(number, 400, 0) for number in range(400)]
    restarts = [s.number for s in steps if objective.restarts_optimiser(recipe, s)]
    assert restarts == [3 + 5 * k for k in range(1, chain_length(recipe) + 1)]
    gentle = replace(objective, restart=False)
    assert not any(gentle.restarts_optimiser(recipe, s) for s in steps)


def test_tokens_go_when_the_model_has_caught_up(encoder):
    objective = ImplicitChain(removed=2, caught_up=0.1, pretrain=50, smoothing=None)
    recipe = recipe_with(objective, steps=400)
    logged = [(0, 0.01), (50, 0.2), (100, 0.09), (150, 0.3), (200, 0.05)]

    def at(number: int) -> Step:
        return Step(number, 400, 0, [one for one in logged if one[0] < number])

    assert [objective.scheduled(at(n)) for n in (1, 51, 100, 101, 200, 201)] == [0, 0, 0, 2, 2, 4]
    restarts = [n for n in range(400) if objective.restarts_optimiser(recipe, at(n))]
    assert restarts == [101, 201]
    problems = task("mul:2x2").sample(3, seed=0)
    widths = [objective.rows(encoder, problems, at(n)).tokens.shape[1] for n in (1, 101, 201)]
    assert widths == [widths[0], widths[0] - 2, widths[0] - 4]


def test_what_is_waited_for_too_long_goes_with_the_rest(encoder):
    objective = ImplicitChain(removed=1, caught_up=0.1, patience=100, pretrain=50, smoothing=None)
    losses = [0.01, 0.2, 0.09, 0.3, 0.2, 0.05, 0.3, 0.3, 0.3, 0.01]  # of steps 0, 50, 100, …
    logged = [(50 * i, loss) for i, loss in enumerate(losses)]

    def at(number: int) -> Step:
        return Step(number, 600, 0, [one for one in logged if one[0] < number])

    gone = [objective.scheduled(at(n)) for n in (51, 101, 201, 251, 301, 350)]
    # The second wait is ended at its hundredth step, and the chain does not come back.
    assert gone[:2] == [0, 1]
    assert gone[2:] == [EVERYTHING] * 4
    patient = replace(objective, patience=150)
    assert [patient.scheduled(at(n)) for n in (201, 251, 301, 351, 401)] == [
        1, 2, 2, 2, EVERYTHING,
    ]  # fmt: skip
    assert patient.scheduled(at(501)) == EVERYTHING
    ignorant = Step(600, 600, 0, [(at, 0.3) for at in range(0, 600, 50)])
    assert objective.scheduled(ignorant) == 0  # the whole chain is learnt, however long it takes
    problems = task("mul:2x2").sample(3, seed=0)
    rows = objective.rows(encoder, problems, at(201))
    assert rows.learnt.sum(1).tolist() == [5, 5, 5]  # #### and the answer


@pytest.mark.parametrize("given", [{"patience": 5}, {"patience": 0, "caught_up": 0.1}])
def test_patience_needs_something_to_wait_for(given):
    with pytest.raises(InputError, match="caught_up waits"):
        recipe_with(ImplicitChain(**given))


@pytest.mark.parametrize(
    "chain",
    [
        ImplicitChain(stage=4, removed=4),
        ImplicitChain(removed=2, caught_up=2.755, restart=False),
        ImplicitChain(removed=1, caught_up=2.755, patience=3),
    ],
)
def test_a_run_through_all_stages_resumes_to_the_bit_and_answers_without_a_chain(tmp_path, chain):
    recipe = recipe_with(
        chain, steps=16, batch=8, evaluate_n=10, card_n=20,
        checkpoint_every=3, evaluate_every=8, log_every=5 if chain.caught_up is None else 1,
    )  # fmt: skip

    class Stop(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 11:
            raise Stop

    trained = train(recipe, tmp_path / "unbroken")
    with pytest.raises(Stop):
        train(recipe, tmp_path / "broken", progress=stop)
    train(recipe, tmp_path / "broken")
    log = read_log(tmp_path / "unbroken")
    losses = log[(log["split"] == "train") & (log["group"] == "total")]["loss"]
    if chain.caught_up is not None:  # some steps are below it, and some are not
        assert 0 < (losses < chain.caught_up).mean() < 1
    files = [tmp_path / name / "model.safetensors" for name in ("broken", "unbroken")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert trained.card is not None
    assert trained.card.format == "icot-no-cot"


# Scratchpads


def test_a_scratchpad_is_learnt_from_the_question_to_its_end():
    recipe = recipe_with(ScratchpadLoss(), task="add:2")
    encoder = Encoder(build_tokenizer(recipe), task("add:2"), "scratchpad")
    problems = task("add:2").problems([7, 95, 12], [8, 36, 30])  # answers of different lengths
    rows = recipe.objective.rows(encoder, problems, START)
    for row, written in enumerate(format("scratchpad").render(problems)):
        question = format("scratchpad").render(problems[[row]], answer="none")[0].text
        learnt = encoder.tokenizer.convert_ids_to_tokens(
            rows.tokens[row][rows.learnt[row]].tolist()
        )
        assert "".join(learnt) == written.text.removeprefix(question) + "<pad>"
    assert not rows.learnt[:, 0].any()


def test_a_wrong_step_makes_an_answer_wrong(tiny):
    recipe = recipe_with(ScratchpadLoss(), task="add:2", batch=64, steps=60, warmup=5)
    run = TrainingRun.start(recipe)
    problems = task("add:2").sample(40, seed=0)
    found = score(run.model, run.encoder, problems)
    rows = recipe.objective.rows(run.encoder, problems, START)
    with torch.no_grad():
        chosen = run.model(rows.tokens[:, :-1]).logits.argmax(-1)
    ok = (chosen == rows.tokens[:, 1:]) | ~rows.learnt[:, 1:]
    ends = rows.tokens[:, 1:] == run.encoder.tokenizer.pad_token_id
    assert found.scratchpad.tolist() == (ok | ends).all(1).tolist()
    assert not found.exact.any()  # random weights
    assert found.correct.any()
