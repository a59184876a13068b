"""Merging models into one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.data import Dataset
from toolkit.declarations import Ingredient, MergeRequest, MergeResult, Need
from toolkit.merging.combine import effective_number, plain_mean
from toolkit.merging.evaluator import Evaluator, labelled_for, measure_all
from toolkit.merging.matching import match, printable
from toolkit.merging.plan import MergePlan
from toolkit.merging.problems import listing, refusal
from toolkit.merging.recalibrate import calibration_images, has_batch_statistics
from toolkit.merging.report import IngredientReport, MergeReport, Recalibration, versions
from toolkit.merging.report_html import page
from toolkit.merging.scores import Answers
from toolkit.merging.scores import answers as look_at
from toolkit.merging.verdict import Verdict, judge, unmeasured
from toolkit.model import Card, Model, Parent
from toolkit.model.card_file import card_path
from toolkit.model.saving import save_model
from toolkit.operations.merge_planning import MergeOrder, Prepared, prepare
from toolkit.operations.toolkit import Toolkit
from toolkit.store import exclusive, publish_text
from toolkit.vocabulary import Convention, Progress, SplitName

__all__ = ["MergeOrder", "MergeOutcome", "listing", "merge", "refusal"]

_FAR_FROM_CARD = 0.02
_NEAR_CHANCE = 2.0


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """What became of an order.

    Attributes:
        plan: What was planned.
        report: What was done; None where only a plan was asked for.
        path: The merged model; None where only a plan was asked for.
        page: Its report as HTML.
        document: Its report as JSON.
    """

    plan: MergePlan
    report: MergeReport | None = None
    path: Path | None = None
    page: Path | None = None
    document: Path | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    """A merged model with everything that was measured on the way."""

    model: Model
    result: MergeResult
    ingredients: tuple[Ingredient, ...]
    answers: dict[SplitName, Answers]
    of_ingredients: dict[SplitName, tuple[Answers, ...]]
    of_plain_mean: dict[SplitName, Answers]
    recalibrated: int
    alone: int | None


def merge(toolkit: Toolkit, order: MergeOrder, progress: Progress) -> MergeOutcome:
    """Merge models: plan, combine, recalibrate, measure, publish.

    Args:
        toolkit: Where formats, strategies and data sets come from.
        order: What the user wants.
        progress: Told of every candidate.

    Returns:
        With a plan alone, its problems are listed in it; otherwise they are raised.

    Raises:
        IncompatibleModelsError: With every problem, if the models cannot be merged.
        PlanRefusedError: If the strategy's needs are not met.
        DamagedFileError: If an ingredient is not the file that its card was written for.
        BusyError: If another merge writes the same output.
        StorageError: If the output cannot be written; what was there is still there.
    """
    started = time.monotonic()
    prepared = prepare(toolkit, order, progress)
    if order.plan_only:
        return MergeOutcome(prepared.plan)
    if prepared.plan.problems:
        raise refusal(prepared.plan.problems)
    for choice in prepared.plan.choices:
        progress.note(choice)
    with exclusive(prepared.out):
        measured = _carry_out(toolkit, order, prepared, progress)
        progress.note("writing")
        card = _card(order, prepared, measured)
        card = _publish(prepared, measured.model, card)
        report = _report(order, prepared, measured, card, time.monotonic() - started)
        stem = card_path(prepared.out).name.removesuffix(".card.json")
        document = prepared.out.with_name(f"{stem}.report.json")
        html = prepared.out.with_name(f"{stem}.report.html")
        publish_text(document, report.to_json())
        publish_text(html, page(report))
    return MergeOutcome(prepared.plan, report, prepared.out, html, document)


def _carry_out(toolkit: Toolkit, order: MergeOrder, prepared: Prepared, progress: Progress) -> _Measured:
    evaluator = _evaluator(toolkit, order, prepared, progress)
    ingredients = evaluator.ingredients
    needs = prepared.strategy.needs_with(prepared.options)
    result = prepared.strategy.merge(
        MergeRequest(
            ingredients=ingredients,
            classes=ingredients[0].model.classes,
            options=prepared.options,
            seed=order.seed,
            evaluate=evaluator.accuracy if Need.EVALUATOR in needs else None,
        )
    )
    model, alone = evaluator.finish(result), evaluator.alone(result)
    calibration = evaluator.calibration
    recalibrated = len(calibration) if calibration is not None and evaluator.recalibrates(result) else 0
    if evaluator.validation is None:
        return _Measured(model, result, ingredients, {}, {}, {}, recalibrated, alone)
    answers: dict[SplitName, Answers] = {}
    of_ingredients: dict[SplitName, tuple[Answers, ...]] = {"validation": evaluator.known}
    of_plain_mean: dict[SplitName, Answers] = {}
    plain = dataclasses.replace(evaluator, calibration=None)
    compared = _is_something_else(result, recalibrated, len(ingredients))
    name = prepared.out.name
    for split, images in _splits(toolkit, order, prepared, evaluator.validation):
        if split not in of_ingredients:
            of_ingredients[split] = measure_all(ingredients, images, evaluator.convention, progress, split)
        if split == "validation":
            answers[split] = evaluator.answers(result)
        elif alone is not None:
            answers[split] = of_ingredients[split][alone]
        else:
            answers[split] = look_at(model, images, split, evaluator.convention)
        progress.note(f"{name}: {100 * answers[split].score.accuracy:.2f} % on {split}")
        if compared:
            mean = plain.finish(plain_mean(ingredients))
            of_plain_mean[split] = look_at(mean, images, split, evaluator.convention)
    return _Measured(model, result, ingredients, answers, of_ingredients, of_plain_mean, recalibrated, alone)


def _evaluator(toolkit: Toolkit, order: MergeOrder, prepared: Prepared, progress: Progress) -> Evaluator:
    """With the ingredients scored on the images at hand, and put in the order of what they scored."""
    convention = prepared.matched.convention or Convention()
    calibration = None
    if prepared.recalibrate and prepared.images.source is not None:
        progress.note("drawing images to recalibrate on")
        fit = toolkit.data.open(prepared.images.source, "fit")
        calibration = calibration_images(fit, prepared.recalibrate, order.seed)
    ingredients = prepared.matched.ingredients
    evaluator = Evaluator(
        ingredients,
        prepared.strategy.name,
        prepared.images.validation,
        calibration,
        convention,
        progress,
        originals=prepared.matched.originals,
    )
    if evaluator.validation is None:
        return evaluator
    known = evaluator.with_known().known
    by_position = {item.position: found for item, found in zip(ingredients, known, strict=True)}
    candidates = [
        dataclasses.replace(item, accuracy=by_position[item.position].score.accuracy)
        for item in prepared.candidates
    ]
    ordered = match(candidates)
    return dataclasses.replace(
        evaluator,
        ingredients=ordered.ingredients,
        known=tuple(by_position[item.position] for item in ordered.ingredients),
        originals=ordered.originals,
    )


def _splits(
    toolkit: Toolkit, order: MergeOrder, prepared: Prepared, validation: Dataset
) -> list[tuple[SplitName, Dataset]]:
    splits: list[tuple[SplitName, Dataset]] = [("validation", validation)]
    if order.test and prepared.images.source is not None:
        test = labelled_for(toolkit.data.open(prepared.images.source, "test"), validation.classes)
        assert test is not None  # the splits of one data set have the same classes
        splits.append(("test", test))
    return splits


def _is_something_else(result: MergeResult, recalibrated: int, count: int) -> bool:
    """Whether the merge differs from the plain mean of all ingredients, which then is measured too."""
    return bool(recalibrated or result.steps or len(set(result.weights)) > 1 or len(result.weights) != count)


def _card(order: MergeOrder, prepared: Prepared, measured: _Measured) -> Card:
    metrics: dict[str, float] = {}
    for split, found in measured.answers.items():
        metrics[f"{split}_accuracy"] = found.score.accuracy
        metrics[f"{split}_images"] = float(found.score.images)
    cards = [item.model.card for item in measured.ingredients]
    dataset = prepared.plan.dataset or _shared([card.dataset for card in cards])
    labels = prepared.images.validation.classes if prepared.images.validation is not None else ()
    return Card(
        name=prepared.out.stem,
        classes=prepared.matched.classes or labels,
        convention=prepared.matched.convention,
        architecture=_shared([card.architecture for card in cards]),
        dataset=dataset,
        metrics=metrics,
        made_by="merge",
        parents=tuple(
            Parent(printable(item.model.name), item.digest, weight)
            for item, weight in zip(measured.ingredients, measured.result.weights, strict=True)
            if weight > 0
        ),
        settings={
            "strategy": prepared.strategy.name,
            "options": dict(prepared.plan.options),
            "recalibrated_on": measured.recalibrated,
            "verdict": _verdicts(prepared, measured)["validation"].sentence,
        },
        seed=order.seed,
    )


def _shared(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""


def _publish(prepared: Prepared, model: Model, card: Card) -> Card:
    write, read = prepared.model_format.write, prepared.model_format.read
    assert write is not None  # the plan refused a format that is only read
    return save_model(model.with_card(card), prepared.out, write=write, read=read)


def _report(
    order: MergeOrder, prepared: Prepared, measured: _Measured, card: Card, seconds: float
) -> MergeReport:
    weights = measured.result.weights
    recorded = {item.position: item.accuracy for item in prepared.candidates}
    ingredients = tuple(
        IngredientReport(
            item.name,
            item.digest,
            weights[index],
            recorded[item.position],
            tuple(found[index].score for found in measured.of_ingredients.values()),
        )
        for index, item in enumerate(measured.ingredients)
    )
    verdicts = _verdicts(prepared, measured)
    notes = [*prepared.plan.notes, *measured.result.notes, *_remarks(ingredients, measured.model.classes)]
    plain, merged = measured.of_plain_mean.get("validation"), measured.answers.get("validation")
    if plain and merged and plain.score.accuracy > merged.score.accuracy:
        notes.append(
            f"the plain mean of all, not recalibrated, scores more: {100 * plain.score.accuracy:.2f} %; "
            "--strategy mean --recalibrate off makes it"
        )
    if measured.alone is not None and 0.0 not in weights:
        notes.append("all ingredients are copies of one model, and so is the result")
    if measured.result.steps and "test" not in verdicts:
        notes.append("the merge was chosen by these validation images, which flatters it; --test tells")
    return MergeReport(
        output=prepared.out.name,
        weights_digest=card.weights_digest,
        strategy=prepared.strategy.name,
        options=prepared.plan.options,
        classes=measured.model.classes,
        parameters=measured.model.parameters,
        convention=card.convention,
        dataset=prepared.plan.dataset,
        ingredients=ingredients,
        effective_number=effective_number(weights),
        steps=measured.result.steps,
        recalibration=_recalibration(prepared, measured),
        scores=tuple(found.score for found in measured.answers.values()),
        plain_mean=tuple(found.score for found in measured.of_plain_mean.values()),
        verdict=verdicts["validation"],
        test_verdict=verdicts.get("test"),
        choices=tuple(choice for choice in prepared.plan.choices if choice != prepared.recalibration),
        notes=tuple(notes),
        seed=order.seed,
        seconds=seconds,
        versions=versions(measured=bool(measured.answers)),
    )


def _verdicts(prepared: Prepared, measured: _Measured) -> dict[SplitName, Verdict]:
    alone, names = measured.alone, [item.name for item in measured.ingredients]
    if not measured.answers:
        averaged = alone is None and has_batch_statistics(measured.model)
        return {"validation": unmeasured(prepared.images.reason, statistics_averaged=averaged)}
    return {
        split: judge(
            found,
            dict(zip(names, measured.of_ingredients[split], strict=True)),
            unchanged="" if alone is None else names[alone],
            because="" if alone is None else _why_alone(measured.result, names[alone]),
        )
        for split, found in measured.answers.items()
    }


def _why_alone(result: MergeResult, name: str) -> str:
    if sum(weight != 0 for weight in result.weights) > 1:
        return f"All that was averaged are copies of {name}"
    return f"No candidate scored better than {name} alone" if result.steps else f"{name} has all the weight"


def _recalibration(prepared: Prepared, measured: _Measured) -> Recalibration:
    if measured.alone is not None and has_batch_statistics(measured.model):
        return Recalibration(
            0, "", "nothing was recalibrated: the result is one ingredient with its own statistics"
        )
    dataset = prepared.plan.dataset if measured.recalibrated else ""
    sentence = prepared.recalibration
    if 0 < measured.recalibrated < prepared.recalibrate:
        sentence = (
            f"batch statistics are recalibrated on all {measured.recalibrated:,} unlabelled images "
            f"of {dataset}'s fit split: there are no more"
        )
    return Recalibration(measured.recalibrated, dataset, sentence)


def _remarks(ingredients: Sequence[IngredientReport], classes: int) -> list[str]:
    remarks: list[str] = []
    scored = [(item, item.scores[0]) for item in ingredients if item.scores]
    for item, score in scored:
        recorded = item.recorded_accuracy
        if recorded is not None and abs(score.accuracy - recorded) > _FAR_FROM_CARD:
            remarks.append(
                f"{item.name} scores {100 * score.accuracy:.2f} % here, its card says {100 * recorded:.2f} %"
            )
    poor = [item.name for item, score in scored if score.accuracy <= _NEAR_CHANCE / classes]
    if poor and len(poor) == len(scored):
        remarks.append("every ingredient is no better than chance: it may want its pixels another way")
    else:
        why = "is no better than chance: it never learnt, or wants its pixels another way"
        remarks += [f"{name} {why}" for name in poor]
    return remarks
