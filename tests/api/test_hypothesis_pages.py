"""The pages of hypotheses: what they load, what their scripts ask, and what a browser makes of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import graphql
import httpx
import pytest

from graph.queries import ace, hypotheses, runs
from graph.queries.ace import NewVote
from resolvers.certificates.issuing import issue
from resolvers.certificates.signing import verify
from resolvers.graphql.api import schema
from resolvers.graphql.limits import MAX_TOKENS, VALIDATION_RULES
from resolvers.web import pages
from resolvers.web.headers import POLICY
from resolvers.web.viewer import Role
from tests.api import browser
from tests.api.browser import Tab
from tests.api.conftest import World
from tests.graph.queries import builders, experiments
from tests.graph.queries.experiments import CLAIM, Spent
from tests.resolvers.certificates.statements import KEY

pytestmark = pytest.mark.db

PAGES = ("/hypotheses", "/hypotheses/any")
HOSTILE = """<img src=x onerror="window.owned=1"><script>window.owned=1</script> ${owned} & 'more' "text\""""
needs_browser = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on this machine")


def scripts() -> dict[str, str]:
    """Our own, by name."""
    return {path.name: path.read_text("utf-8") for path in pages.STATIC.glob("*.js")}


@pytest.mark.parametrize("address", PAGES)
async def test_pages_load_only_what_we_serve(anonymous: httpx.AsyncClient, address: str) -> None:
    response = await anonymous.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-security-policy"] == POLICY
    page = response.text
    assert "://" not in page
    assert not re.search(r"<script(?![^>]*src=)|<style|style=|\son\w+=", page), "the policy forbids them inline"
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(/[^"]+)"', page)
    assert len(loaded) == 2
    for one in loaded:
        assert (await anonymous.get(one)).status_code == 200, one
    assert {"/hypotheses", "/graphql"} <= set(re.findall(r'<a href="([^"]+)"', page))


async def test_graphiql_leads_to_the_hypotheses(anonymous: httpx.AsyncClient) -> None:
    page = (await anonymous.get("/graphql", headers={"Accept": "text/html"})).text
    assert '<a href="/hypotheses">' in page


async def test_scripts_import_only_what_we_serve(anonymous: httpx.AsyncClient) -> None:
    assert set(scripts()) == {name for name in pages.OWN if name.endswith(".js")}
    for text in scripts().values():
        imported = re.findall(r'from "([^"]+)"', text)
        assert all(one.startswith("/static/") for one in imported)
        for one in imported:
            response = await anonymous.get(one)
            assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/javascript")


@pytest.mark.parametrize("name", sorted(scripts()))
def test_no_script_parses_text_as_html(name: str) -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|ContextualFragment|DOMParser|eval\(|new Function"
    assert not re.search(ways, scripts()[name])


def test_what_the_scripts_ask_the_schema_answers() -> None:
    parts = {
        name: text
        for source in scripts().values()
        for name, text in re.findall(r"const (\w+) = `((?:query|subscription|fragment|\{) [^`]*)`", source)
    }
    assert {"LIST", "DOMAINS", "ONE", "EXPERIMENT", "STAGE", "PROGRESS", "STRIP"} <= set(parts)
    rules = [*graphql.specified_rules, *VALIDATION_RULES]
    for name, text in parts.items():
        if text.startswith("fragment"):
            continue  # within ONE
        said = re.sub(r"\$\{(\w+)\}", lambda inner: parts.get(inner[1], "1"), text)
        document = graphql.parse(said, max_tokens=MAX_TOKENS)
        assert graphql.validate(schema._schema, document, rules) == [], name


async def test_a_certificate_is_downloaded_as_it_was_signed(
    operator: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    address = f"/certificates/{run.uid}.json"
    assert (await anonymous.get(address)).status_code == 401
    missing = await operator.get(address)
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    await runs.transition(
        gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease.token, energy_joules=2.0, energy_source="estimated"
    )
    signed, _ = await issue(gateway, run.uid, KEY)
    file = await operator.get(address)
    assert file.headers["content-disposition"] == f'attachment; filename="certificate-{signed.statement.number}.json"'
    assert file.content == signed.document()
    assert verify(file.content).statement == signed.statement


async def hypothesis(world: World, key: str, **changes: Any) -> str:
    """Uid of a hypothesis about the world's domain."""
    claim = {**CLAIM, "domain": "fluid_dynamics", "model": None}
    values = {"text": f"it holds ({key})", "claim": claim, "about": "fluid_dynamics"} | changes
    return (await experiments.proposed(world.services.gateway, key=key, **values)).uid


@pytest.fixture(scope="module")
async def address(world: World) -> AsyncIterator[str]:
    """Where the pages are."""
    async with browser.serve(world.services.settings.model_copy(update={"poll_seconds": 0.05})) as found:
        yield found


@pytest.fixture(scope="module")
async def opened(
    address: str, token: Callable[[Role], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[..., Any]]:
    """Opens a page in a tab of its own, with the rights of a reader."""
    reader = token(Role.READER)
    async with browser.chromium(tmp_path_factory.mktemp("profile")) as connection:

        async def go(path: str, *, token: str | None = reader) -> Tab:
            tab = await browser.tab(connection)
            await tab.open(address + path, token=token)
            return tab

        yield go


@needs_browser
async def test_before_anything_is_claimed_the_page_says_how_to(opened: Any) -> None:
    tab: Tab = await opened("/hypotheses")
    assert 'fieldgraph ace run "' in await tab.until("document.querySelector('#place pre')?.textContent")
    assert tab.errors == []


@needs_browser
async def test_who_is_not_logged_in_is_told_how(opened: Any) -> None:
    tab: Tab = await opened("/hypotheses", token=None)
    assert "`fieldgraph serve` prints" in await tab.until("document.querySelector('[role=alert]')?.textContent")


@needs_browser
async def test_text_stays_text(opened: Any, world: World) -> None:
    uid = await hypothesis(world, "hostile", text=HOSTILE)
    tab: Tab = await opened("/hypotheses")
    await tab.until("document.querySelector('.list td a') !== null")
    assert (await tab.texts(".list td a"))[0] == HOSTILE
    tab = await opened(f"/hypotheses/{uid}")
    assert await tab.until("document.querySelector('h1')?.textContent") == HOSTILE
    assert await tab.value("document.querySelectorAll('main img, main script').length") == 0
    assert await tab.value("window.owned === undefined")
    (command,) = [one for one in await tab.texts("pre") if one.startswith("fieldgraph ace run")]
    assert command == "fieldgraph ace run '" + HOSTILE.replace("'", "'\\''") + "'"
    assert tab.errors == []


@needs_browser
async def test_an_experiment_is_shown_whole(opened: Any, world: World) -> None:
    gateway = world.services.gateway
    uid = await hypothesis(world, "whole")
    later = await hypothesis(world, "later", refines=uid, text="what follows")
    run = await experiments.experiment(gateway)
    await experiments.walk(gateway, run.lease)
    votes = [NewVote(member=n, sha256=f"{n}a", agrees=n < 2, starts=4, agreed=3 * (n < 2)) for n in range(3)]
    await ace.record_votes(gateway, run.lease, votes)
    await hypotheses.settle(
        gateway,
        run.lease,
        hypothesis=uid,
        verdict="refuted",
        credence=0.1,
        weight=-0.95,
        evidence=[world.evaluation],
        result=FOUND,
    )
    await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token)
    tab: Tab = await opened(f"/hypotheses/{uid}")
    await tab.until("document.querySelector('.evidence') !== null")
    assert (await tab.texts("main > * > .badge, h2 .badge"))[-1].endswith("refuted")
    assert [text.split()[-1] for text in await tab.texts(".stages td:nth-child(2)")] == ["done"] * 8
    assert await tab.texts(".stages td:nth-child(1)") == list(ace.STAGES)
    assert (await tab.texts(".stages td:nth-child(4)"))[0] == "2.5 J"
    assert await tab.texts(".plot .limit") == ["threshold 0.4"]
    assert "interval open to 0.38" in await tab.value("document.querySelector('.plot').getAttribute('aria-label')")
    assert "nothing changes in them" in (await tab.texts("li"))[0]
    shown = await tab.value("document.querySelector('main').innerText")
    assert "member 2" in shown
    assert "✗ outside the quorum" in shown
    assert "20 J estimated" in shown
    assert "what follows" in (await tab.texts(f"a[href='/hypotheses/{later}']"))[0]
    # the frames that were looked at come when they are asked for, as images of ours
    await tab.value("document.querySelector('.evidence details').open = true")
    await tab.until("[...document.querySelectorAll('.strip img')].filter((one) => one.naturalWidth > 0).length === 6")
    (query,) = await tab.texts(".cypher")
    assert len(await gateway.read(query)) >= len(ace.STAGES) + len(votes) + 2
    assert tab.errors == []


@needs_browser
async def test_stages_are_seen_as_they_begin_and_end(opened: Any, world: World) -> None:
    gateway = world.services.gateway
    uid = await hypothesis(world, "live")
    tab: Tab = await opened(f"/hypotheses/{uid}")
    await tab.until("document.body.innerText.includes('Not tested yet')")
    asked = await builders.submit(gateway, kind="ace", capability="orchestration", config={"hypothesis": uid})
    tab = await opened(f"/hypotheses/{uid}")
    await tab.until("document.body.innerText.includes('A test of it is asked for')")
    claimed, *_ = await runs.claim(
        gateway, capability="orchestration", worker="test", lease_seconds=600, only=asked.uid
    )
    run = await runs.transition(gateway, asked.uid, "LEASED", "RUNNING", claimed.lease_token)
    assert run is not None
    begun = await ace.begin_stage(gateway, run.lease, name="spawn", round=1, inputs={})
    await hypotheses.take_up(gateway, run.lease, uid)
    second = "document.querySelectorAll('.stages tr')[{}]?.innerText.includes({!r})"
    await tab.until(second.format(1, "running"))
    await ace.end_stage(gateway, run.lease, begun, outputs={"said": "taken up"}, spent=Spent())
    await tab.until(second.format(1, "taken up"))
    await ace.begin_stage(gateway, run.lease, name="compose", round=1, inputs={})
    await tab.until(second.format(2, "running"))
    await runs.transition(gateway, run.uid, "RUNNING", "CANCELLED", run.lease_token)
    await tab.until(second.format(2, "stopped"))
    assert tab.errors == []


@needs_browser
async def test_there_is_more(opened: Any, world: World) -> None:
    for n in range(27):
        await hypothesis(world, f"more {n}", text=f"claim {n}")
    tab: Tab = await opened("/hypotheses?verdict=UNTESTED")
    rows = "document.querySelectorAll('.list tbody tr').length"
    await tab.until(f"{rows} === 25")
    await tab.value("document.querySelector('#place button').click()")
    await tab.until(f"{rows} >= 27")
    texts = await tab.texts(".list td a")
    assert texts[:27] == [f"claim {n}" for n in reversed(range(27))]
    assert len(set(texts)) == len(texts)
    await tab.until("document.querySelector('#verdict').value === 'UNTESTED'")
    assert tab.errors == []


FOUND = {
    "verdict": "refuted",
    "reading": "it fails",
    "stopped_by": "decision",
    "alpha": 0.05,
    "cited": ["a", "b"],
    "decisive": "lead 1",
    "findings": [
        {
            "name": "lead 1",
            "role": "necessary",
            "decision": "refuted",
            "null": "at most 0.4",
            "median": 0.3,
            "effect": -0.1,
            "interval": [None, 0.38],
            "headline": 0.31,
            "n": 8,
            "on_its_side": 0,
            "void": 0,
        }
    ],
    "prior": 0.5,
    "credence": 0.1,
    "caveats": ["2 sequences could not be scored: nothing changes in them."],
    "effect": -0.1,
    "interval": [None, 0.38],
}
"""What a test found, as PlatoSynthesizer says it."""
