"""Which names people, groups and analyses may have: in any script and as science writes them, and none that passes for another."""

import unicodedata
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from control_plane.access.groups import errors
from control_plane.access.groups.join_policy import check_new_group_name
from control_plane.access.groups.models import Analysis, Group
from control_plane.access.groups.services.analyses import create_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.rosters.services.plan import make_plan
from control_plane.access.rosters.services.read import read_roster
from control_plane.accounts import confusables
from control_plane.accounts.models import User, trust_address
from control_plane.accounts.services.profile import rename
from control_plane.accounts.validation import validate_name, validate_person_name
from control_plane.base.audit.actors import Actor
from control_plane.base.visible import UNSEEN
from control_plane.doctor.findings import State
from control_plane.research.configurations.services import InvalidConfiguration, clean_name
from tests.actors import actor_of
from tests.control_plane.doctor_context import context, one
from tests.factories import AnalysisFactory, GroupFactory

pytestmark = pytest.mark.django_db
YORUBA = "Olúwaṣẹ́gun Adéyẹmí"
CYRILLIC_A, GREEK_O = "\u0430", "\u03bf"


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    "name",
    [
        YORUBA,
        decomposed("José Núñez"),
        decomposed("Nguyễn Thị Ánh"),
        "王小明 Xiaoming",
        "山田太郎 (Taro Yamada)",
        "王小明Xiaoming",
        "Мария Иванова (Maria Ivanova)",
        "Γιώργος Papadopoulos",
        "علي Ali",
        "नरेन्द्र",
        "O’Neill-Łukasz",
        "김민준",
    ],
)
def test_a_person_is_called_as_people_are(name: str) -> None:
    validate_person_name(name)


@pytest.mark.parametrize(
    "name",
    [
        f"{CYRILLIC_A}da Lovelace",
        f"Ada L{GREEK_O}velace",
        "β2AR",
        f"王小明 {CYRILLIC_A}da",
        f"O’C{CYRILLIC_A}rthy",
        # Cherokee and Lisu letters that are drawn as Latin ones.
        "\u13aada",
        "\ua4eeda",
        decomposed(f"Jos{CYRILLIC_A}é"),
    ],
)
def test_a_word_of_a_person_s_name_that_passes_for_latin_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="mixes letters of several scripts"):
        validate_person_name(name)


@pytest.mark.parametrize("name", ["α-Synuclein Lab", "β2AR", "Δ9-THC", "Hα Survey", "µ-Opioid Group", "二〇二六Lab", YORUBA])
def test_a_group_is_called_as_science_writes(name: str) -> None:
    validate_name(name)


def test_a_group_s_word_of_latin_and_cyrillic_is_refused() -> None:
    with pytest.raises(ValidationError, match="mixes letters of several scripts"):
        validate_name(f"Ex{CYRILLIC_A}mple Lab")


@pytest.mark.parametrize(
    "character",
    # Bidirectional: overrides, isolates, marks. Invisible: joiner, filler, selector, tag, empty Braille cell.
    ["\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\u2060", "\u3164", "\ufe0f", "\U000e0041", "\u2800", "\x07"],
)
@pytest.mark.parametrize("validate", [validate_name, validate_person_name])
def test_what_cannot_be_seen_is_refused_and_named_by_its_number(validate: Callable[[str], object], character: str) -> None:
    with pytest.raises(ValidationError, match="cannot be seen") as refused:
        validate(f"Lab{character} x")
    told = " ".join(refused.value.messages)
    assert f"U+{ord(character):04X}" in told
    assert character not in told


# --- What looks alike, by Unicode Technical Standard 39


def test_every_mapping_of_unicode_s_file_is_kept() -> None:
    """UTS 39 has no file of tests but its data: the skeleton of each character in it is what stands beside it, decomposed."""
    known = confusables.prototypes()
    # As many as confusables.txt 17.0.0 has.
    assert len(known) == 6565
    for source, target in known.items():
        # What decomposes is mapped by its parts, and what is not drawn is left out first, as the standard has it.
        if decomposed(chr(source)) == chr(source) and not UNSEEN.match(chr(source)):
            assert confusables.skeleton(chr(source)) == decomposed(target)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        # UTS 39's own examples of whole-script, mixed-script and single-script confusables.
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
        ("paypal", f"p{CYRILLIC_A}yp{CYRILLIC_A}l"),
        ("so\u0337s", "s\u00f8s"),
        ("Circle", "\u0421\u0456\u0433\u0441\u04c0\u0435".replace("\u0433", "r")),
        ("Circle", "Circ1e"),
        ("Example Lab", "EXAMPLE LAB".translate(str.maketrans("EAMPX", "ЕАМРХ"))),
        ("Vik Lab", "νik lab"),
        ("llama", "Ilama"),
    ],
)
def test_names_that_look_alike_as_a_whole_share_a_key(name: str, other: str) -> None:
    assert confusables.lookalike_keys(name) & confusables.lookalike_keys(other)


@pytest.mark.parametrize(("name", "other"), [("Kai Lab", "Kal Lab"), ("Mali", "Mail"), ("José Lab", "Jose Lab"), ("Δ9", "A9")])
def test_names_that_only_resemble_each_other_are_different(name: str, other: str) -> None:
    assert not confusables.lookalike_keys(name) & confusables.lookalike_keys(other)


# --- What the services make of it


def test_a_name_is_kept_composed_however_it_was_typed(ada: User, operator: Actor) -> None:
    rename(user=ada, name=decomposed("José  Núñez"), actor=operator)
    ada.refresh_from_db()
    assert ada.name == "José Núñez"
    assert User.objects.create_user("x@example.org", name=decomposed("José")).name == "José"
    assert create_group(slug="jose", name=decomposed("José Lab"), actor=operator)[0].name == "José Lab"
    assert create_analysis(slug="jose", bucket="cohort-jose", name=decomposed("José"), actor=operator)[0].name == "José"
    assert check_new_group_name(decomposed("Núñez Lab")) == "Núñez Lab"


def test_a_roster_of_names_of_all_kinds_is_taken_and_kept_composed(group: Group) -> None:
    text = f"email,name,group\na@example.org,{YORUBA},example-lab\nb@example.org,{decomposed('José')},example-lab\n"
    reading = read_roster(f"{text}c@example.org,王小明 Xiaoming,example-lab\n".encode())
    assert [row.name for row in reading.rows] == [YORUBA, "José", "王小明 Xiaoming"]
    assert make_plan(reading).counts["added"] == 3


def test_a_group_that_looks_like_one_there_is_is_not_made(group: Group, operator: Actor) -> None:
    # Cyrillic and Cherokee: no letter of it is Latin.
    lookalike = "EXAMPLE LAB".translate(str.maketrans("EAMPXBL", "ЕАМРХВ\u13de"))
    with pytest.raises(errors.NameTaken, match="looks like 'Example Lab', the name of the group 'example-lab'"):
        create_group(slug="other-lab", name=lookalike, actor=operator)
    with pytest.raises(errors.NameTaken, match="A group that exists cannot be joined by its name") as refused:
        check_new_group_name(lookalike)
    # Who asks is not told which groups there are.
    assert "example-lab" not in str(refused.value)
    assert Group.objects.count() == 1


def test_greek_beside_latin_is_taken_where_no_group_looks_so(operator: Actor) -> None:
    GroupFactory.create(slug="synuclein", name="α-Synuclein Lab")
    with pytest.raises(errors.NameTaken, match="looks like"):
        create_group(slug="a-synuclein", name="a-Synuclein Lab", actor=operator)


def test_an_analysis_that_looks_like_one_there_is_is_not_made(operator: Actor) -> None:
    AnalysisFactory.create(slug="ab2", bucket="cohort-ab2", name="AB2")
    with pytest.raises(errors.NameTaken, match="looks like 'AB2', the name of the analysis 'ab2'"):
        create_analysis(slug="ab3", bucket="cohort-ab3", name="\u0391\u03922", actor=operator)
    assert Analysis.objects.count() == 1


def test_a_name_that_there_is_stays_valid_when_something_else_is_changed(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(name=f"Ad{CYRILLIC_A}")
    ada.refresh_from_db()
    ada.email = "lovelace@example.org"
    ada.full_clean(exclude=["password"])
    ada.name = f"{ada.name} L"
    with pytest.raises(ValidationError, match="mixes letters"):
        ada.full_clean(exclude=["password"])


def test_the_doctor_lists_the_names_that_would_not_be_taken_today(ada: User, group: Group) -> None:
    settings = context(settings=object())
    assert one("names", settings).seen.startswith("all 1 would be taken today")
    User.objects.filter(pk=ada.pk).update(name=f"Ad{CYRILLIC_A}")
    other = GroupFactory.create(slug="other-lab")
    Group.objects.filter(pk=other.pk).update(name="Examp1e Lab")
    found = one("names", settings)
    # Nobody has to do anything about them.
    assert found.state is State.OK
    assert "2 of 3 would not be taken today, and stay valid" in found.seen
    assert "ada@example.org: The word" in found.advice
    assert "group other-lab: its name 'Examp1e Lab' looks like that of example-lab" in found.advice


def test_a_sign_up_counts_a_name_s_letters_as_they_are_kept(ada: User) -> None:
    from web.accounts.forms import NameForm

    form = NameForm({"name": decomposed("é" * 120)})
    assert form.is_valid(), form.errors
    trust_address(ada)
    rename(user=ada, name=form.cleaned_data["name"], actor=actor_of(ada))
    ada.refresh_from_db()
    assert ada.name == "é" * 120


def test_a_configuration_is_called_in_any_language_and_by_nothing_invisible() -> None:
    assert clean_name(decomposed("José")) == "José"
    assert clean_name("ẹ́kọ́ नरेन्द्र") == "ẹ́kọ́ नरेन्द्र"
    with pytest.raises(InvalidConfiguration):
        clean_name("a\u3164b")
