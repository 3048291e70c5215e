"""The table of just-in-time users: who is added, who removed, and who is left alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.protocol.documents.remoteaccess import RemoteAccess, RemoteUser
from waagent.remoteaccess.plan import Grant, JitAccount, Plan, expired, plan_users

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=timezone.utc)
FUTURE = "Sat, 31 Jan 2026 18:00:00 GMT"
LATER = "Tue, 03 Feb 2026 18:00:00 GMT"
PAST = "Sat, 31 Jan 2026 11:59:59 GMT"
AT_ONCE = "Sat, 31 Jan 2026 12:00:00 GMT"
NO_DATE = "tomorrow"
NEXT_DAY = date(2026, 2, 1)


def wanted(*users: tuple[str, Optional[str]]) -> RemoteAccess:
    return RemoteAccess(tuple(RemoteUser(name, "sealed", until) for name, until in users))


def names(plan: Plan) -> tuple[list[str], list[str], list[str]]:
    """Who is added, extended and removed."""
    return (
        [each.user.name for each in plan.add],
        [each.user.name for each in plan.extend],
        list(plan.remove),
    )


@pytest.mark.parametrize(
    ("until", "account", "then"),
    [
        (FUTURE, None, (["jit"], [], [])),
        (AT_ONCE, None, (["jit"], [], [])),
        (PAST, None, ([], [], [])),
        (FUTURE, JitAccount("jit", last_day=NEXT_DAY), ([], [], [])),
        (AT_ONCE, JitAccount("jit", last_day=NEXT_DAY), ([], [], [])),
        (PAST, JitAccount("jit", last_day=NEXT_DAY), ([], [], ["jit"])),
        (LATER, JitAccount("jit", last_day=NEXT_DAY), ([], ["jit"], [])),
        (FUTURE, JitAccount("jit"), ([], ["jit"], [])),
        (FUTURE, JitAccount("jit", is_whole=False), (["jit"], [], [])),
        (PAST, JitAccount("jit", is_whole=False), ([], [], ["jit"])),
        (NO_DATE, JitAccount("jit"), ([], [], [])),
        (NO_DATE, JitAccount("jit", is_whole=False), ([], [], [])),
        (NO_DATE, None, ([], [], [])),
        (None, None, ([], [], [])),
    ],
)
def test_user_of_the_list_is_treated_as_the_table_says(
    until: Optional[str], account: Optional[JitAccount], then: tuple[list[str], ...]
) -> None:
    present = () if account is None else (account,)
    assert names(plan_users(wanted(("jit", until)), present, NOW)) == then


@pytest.mark.parametrize("access", [None, RemoteAccess(()), wanted(("other", PAST))])
def test_account_of_ours_that_is_not_in_the_list_is_removed(
    access: Optional[RemoteAccess],
) -> None:
    assert names(plan_users(access, (JitAccount("jit"),), NOW)) == ([], [], ["jit"])


def test_expiration_that_is_no_date_is_told() -> None:
    plan = plan_users(wanted(("jit", NO_DATE), ("none", None)), (), NOW)
    assert [note for note in plan.notes if '"tomorrow"' in note and "jit" in note]
    assert [note for note in plan.notes if "none" in note]


@pytest.mark.parametrize("order", [(PAST, FUTURE), (FUTURE, PAST), (NO_DATE, FUTURE)])
def test_entry_that_lasts_longest_counts_when_a_name_comes_twice(order: tuple[str, str]) -> None:
    access = wanted(("jit", order[0]), ("jit", order[1]))
    assert names(plan_users(access, (), NOW)) == (["jit"], [], [])
    held = JitAccount("jit", last_day=NEXT_DAY)
    assert names(plan_users(access, (held,), NOW)) == ([], [], [])


def test_machine_closes_an_account_on_the_day_after_its_end() -> None:
    (grant,) = plan_users(wanted(("jit", FUTURE)), (), NOW).add
    assert grant.last_day == NEXT_DAY


def test_end_of_time_is_a_day_too() -> None:
    (grant,) = plan_users(wanted(("jit", "Fri, 31 Dec 9999 23:00:00 GMT")), (), NOW).add
    assert grant.last_day == date.max


def test_names_whose_time_is_over_follow_the_clock_both_ways() -> None:
    access = wanted(("jit", FUTURE), ("gone", PAST), ("odd", NO_DATE))
    assert expired(access, NOW) == {"gone"}
    assert expired(access, NOW + timedelta(days=1)) == {"gone", "jit"}
    assert expired(access, NOW - timedelta(days=1)) == frozenset()
    assert expired(None, NOW) == frozenset()


NAMES = st.sampled_from(["a", "b", "c", "d"])
MOMENTS = st.sampled_from([FUTURE, LATER, PAST, AT_ONCE, NO_DATE, None])
LISTS = st.one_of(st.none(), st.lists(st.tuples(NAMES, MOMENTS)).map(lambda u: wanted(*u)))
ACCOUNTS = st.lists(
    st.builds(JitAccount, NAMES, st.booleans(), st.sampled_from([None, NEXT_DAY])),
    unique_by=lambda account: account.name,
)


def carried_out(plan: Plan, present: list[JitAccount]) -> list[JitAccount]:
    held = {each.name: each for each in present if each.name not in plan.remove}
    grants: tuple[Grant, ...] = (*plan.add, *plan.extend)
    held.update(
        {each.user.name: JitAccount(each.user.name, True, each.last_day) for each in grants}
    )
    return list(held.values())


@given(LISTS, ACCOUNTS)
def test_plan_after_success_is_empty(
    access: Optional[RemoteAccess], present: list[JitAccount]
) -> None:
    plan = plan_users(access, present, NOW)
    again = plan_users(access, carried_out(plan, present), NOW)
    assert (again.add, again.extend, again.remove) == ((), (), ())


@given(LISTS, ACCOUNTS)
def test_nobody_is_removed_who_is_not_ours_and_nobody_both_added_and_removed(
    access: Optional[RemoteAccess], present: list[JitAccount]
) -> None:
    plan = plan_users(access, present, NOW)
    added = {each.user.name for each in plan.add}
    assert set(plan.remove) <= {each.name for each in present}
    assert not added & set(plan.remove)
    assert len(added) == len(plan.add)
