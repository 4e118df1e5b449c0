"""A month of one station in plain dictionaries, written from the reference pages: no SQL, no code of the bank's.

Every verb answers the code that the bank has to answer, and keeps what the bank has to keep. Ids are those that
the bank was given.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.timebank.month_words import EPOCH, MINUTE, STAY, Redemption, Scan, Stay, day_of, month_of, ordered, weaker


@dataclass
class Month:
    """What the bank should hold."""

    draw: bytes
    price: int
    fund: int
    versions: list[tuple[date, int, dict[str, Any]]]
    states: dict[UUID, str] = field(default_factory=dict)
    into: dict[UUID, UUID] = field(default_factory=dict)
    fails: dict[tuple[UUID, datetime], int] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)
    astray: dict[UUID, Scan] = field(default_factory=dict)
    present: dict[UUID, Stay] = field(default_factory=dict)
    stays: dict[UUID, Stay] = field(default_factory=dict)
    hours: dict[UUID, int] = field(default_factory=dict)
    debts: dict[UUID, int] = field(default_factory=dict)
    purses: dict[tuple[UUID, date], int] = field(default_factory=dict)
    expired: dict[tuple[UUID, date], list[int]] = field(default_factory=dict)
    redemptions: dict[UUID, Redemption] = field(default_factory=dict)

    def who(self, member: UUID) -> UUID:
        """Who a member is now."""
        while member in self.into:
            member = self.into[member]
        return member

    def rules(self, day: date) -> dict[str, Any]:
        """What holds on a day."""
        return max((starts, number, rules) for starts, number, rules in self.versions if starts <= day)[2]

    def records(self, member: UUID) -> list[Stay]:
        """What became a record."""
        return [stay for stay in self.stays.values() if stay.end and self.who(stay.member) == member]

    # Ways in and out.

    def judge(self, member: UUID, now: datetime, *, digits: bool, wrong: bool) -> str | None:
        """Why a scan that is genuine is refused."""
        if self.states[member] != "active":
            return "member_suspended"
        if not digits:
            return None
        window = (member, now - (now - EPOCH) % (10 * MINUTE))
        if self.fails.get(window, 0) >= 5:
            return "try_later"
        if wrong:
            self.fails[window] = self.fails.get(window, 0) + 1
            return "digits_wrong"
        return None

    def doubts(self, scan: Scan) -> list[str]:
        """What is held about a scan that leads to something."""
        found = ["poster_alone"] if scan.way == "poster" else []
        if scan.way == "late":
            own = [each for each in self.scans if each.member == scan.member]
            late = [each for each in own if each.way == "late" and each.at >= month_of(scan.at)]
            if len(late) + 1 > self.rules(day_of(scan.at))["late_per_month"]:
                found.append("over_quota")
            after, before = scan.at + timedelta(seconds=80), scan.kept_at - MINUTE
            if any(each.way in ("live", "digits") and each.at > after and each.kept_at < before for each in own):
                found.append("clock_doubt")
        return found

    def keep(self, scan: Scan, holds: list[str]) -> None:
        """Keep a scan; one that leads to nothing waits for somebody."""
        scan.holds = ordered(holds)
        self.scans.append(scan)
        if {"already_in", "nothing_open"} & set(holds):
            self.astray[scan.id] = scan

    def arrive(self, scan: Scan) -> str:
        """A check-in."""
        stay = self.present.get(scan.member)
        if stay and (stay.station == scan.station or (scan.way == "late" and stay.start > scan.at)):
            self.keep(scan, ["already_in"])
            return "held"
        if stay:
            self.forget(stay, scan.at)
        self.keep(scan, self.doubts(scan))
        begun = Stay(scan.id, scan.member, scan.station, scan.way, scan.slot, scan.at, scan.holds)
        begun.by_hand = {True} if scan.way in ("card", "pin") else set()
        self.stays[scan.id] = self.present[scan.member] = begun
        return "held" if "poster_alone" in scan.holds else "ok"

    def leave(self, scan: Scan, *, crowd: bool = False) -> str:
        """A check-out."""
        stay = self.present.get(scan.member)
        if not stay or stay.station != scan.station or (scan.way == "late" and stay.start > scan.at):
            stay = self.lost(scan)
        if stay is None:
            self.keep(scan, ["nothing_open"])
            return "held"
        self.keep(scan, [*self.doubts(scan), *(["mass_checkout"] if crowd else [])])
        self.close(stay, scan)
        return "ok"

    def lost(self, scan: Scan) -> Stay | None:
        """The stay that ended by itself and that this check-out would have ended."""
        for stay in sorted(self.records(scan.member), key=lambda each: (each.start, each.id)):
            waits = stay.state == "unconfirmed" and stay.verdict == "waiting" and stay.station == scan.station
            if stay.end and waits and stay.start <= scan.at <= stay.end:
                return stay
        return None

    def is_crowd(self, station: int, leaving: int, now: datetime) -> bool:
        """Whether so many leave in one moment."""
        rules, since = self.rules(day_of(now)), now - timedelta(seconds=20)
        gone = sum(
            scan.station == station
            and scan.kind == "out"
            and scan.way != "door"
            and "nothing_open" not in scan.holds
            and min(scan.at, scan.kept_at) > since
            for scan in self.scans
        )
        people = gone + sum(stay.station == station for stay in self.present.values())
        enough = gone + leaving >= rules["mass_checkout_people"]
        return enough and (gone + leaving) * 100 >= people * rules["mass_checkout_percent"]

    def mark_crowd(self, station: int, now: datetime) -> None:
        """Those who left a moment before it was seen are part of it."""
        since = now - timedelta(seconds=20)
        recent = {
            scan.id
            for scan in self.scans
            if (scan.station, scan.kind) == (station, "out") and min(scan.at, scan.kept_at) > since
        }
        for stay in self.stays.values():
            if stay.out in recent and stay.verdict == "waiting":
                stay.held = ordered([*stay.held, "mass_checkout"])

    def forget(self, stay: Stay, at: datetime) -> None:
        """Nobody checked out."""
        stay.state, stay.end, stay.verdict = "unconfirmed", max(at, stay.start), "waiting"
        stay.minutes, stay.grade = 0, weaker(stay.way, "manual")
        stay.held = ordered([*stay.holds, "unconfirmed"])
        del self.present[stay.member]

    def close_forgotten(self, now: datetime) -> int:
        """The job."""
        due = [stay for stay in self.present.values() if stay.start + STAY <= now]
        for stay in due:
            self.forget(stay, stay.start + STAY)
        return len(due)

    def close(self, stay: Stay, scan: Scan) -> None:
        """What a stay comes to."""
        if self.present.get(stay.member) is stay:
            del self.present[stay.member]
        end, rules = max(scan.at, stay.start), self.rules(day_of(stay.start))
        others = [
            each for each in self.records(self.who(stay.member)) if each is not stay and each.verdict != "rejected"
        ]
        starts = [each.start for each in others if each.end and each.end > stay.start]
        if (now_in := self.present.get(self.who(stay.member))) and now_in.start < scan.at:
            starts.append(now_in.start)
        that_day = sum(each.minutes for each in others if day_of(each.start) == day_of(stay.start))
        stay.grade = weaker(stay.way, scan.way)
        held = [*stay.holds, *scan.holds]
        held += ["overlap"] if any(start < end for start in starts) else []
        held += ["long_day"] if end - stay.start + that_day * MINUTE > rules["long_day_minutes"] * MINUTE else []
        held += ["same_slot_again"] if scan.slot is not None and scan.slot == stay.slot else []
        chance = int.from_bytes(hmac.new(self.draw, stay.id.bytes, hashlib.sha256).digest()[:4]) % 100
        held += ["drawn"] if stay.grade == "A" and chance < rules["draw_percent"] else []
        held += ["clock_doubt"] if scan.at < stay.start else []
        stay.state, stay.end, stay.verdict, stay.held = "closed", end, "waiting", ordered(held)
        stay.minutes, stay.out = (end - stay.start) // MINUTE, None if scan.way == "door" else scan.id
        stay.by_hand |= {True} if scan.way in ("card", "pin") else set()

    def over_quota(self, own: bool, minutes: int, now: datetime) -> list[str]:
        """Whether a manager has entered too much this month, with these."""
        entered = [stay for stay in self.stays.values() if stay.entered and stay.entered[0] == own]
        since = month_of(now)
        used = sum(s.minutes for s in entered if s.verdict != "rejected" and s.entered and s.entered[1] >= since)
        return ["over_quota"] if used + minutes > self.rules(day_of(now))["manual_minutes_per_month"] else []

    def enter(self, id: UUID, member: UUID, start: datetime, end: datetime, now: datetime) -> str:
        """A manager enters both ends."""
        if self.states[member] != "active":
            return "member_suspended"
        holds = self.over_quota(True, (end - start) // MINUTE, now)
        stay = Stay(id, member, 0, "manual", None, start, holds, by_hand={True}, entered=(True, now))
        scans = [Scan(id, member, 0, kind, "manual", at, now) for kind, at in (("in", start), ("out", end))]
        for scan in scans:
            self.keep(scan, holds)
        self.stays[id] = stay
        self.close(stay, scans[1])
        return "ok"

    def settle(self, id: UUID, scan: Scan, other: datetime | None, now: datetime) -> str:
        """A scan that led to nothing gets its other end, or none."""
        member = self.who(scan.member)
        if self.states[member] != "active":
            return "member_suspended"
        if other is not None:
            start, end = (scan.at, other) if scan.kind == "in" else (other, scan.at)
            if not start < end <= now or end - start > timedelta(hours=24) or now - start > timedelta(days=31):
                return "minutes_invalid"
            holds = self.over_quota(False, (end - start) // MINUTE, now)
            by_hand = Scan(id, member, scan.station, "out" if scan.kind == "in" else "in", "manual", other, now)
            self.keep(by_hand, holds)
            was = Scan(scan.id, member, scan.station, scan.kind, scan.way, scan.at, scan.kept_at, scan.slot)
            first, last = (was, by_hand) if scan.kind == "in" else (by_hand, was)
            stay = Stay(first.id, member, scan.station, first.way, first.slot, start, first.holds, entered=(False, now))
            self.stays[first.id] = stay
            stay.by_hand = {False, True} if was.way in ("card", "pin") else {False}
            self.close(stay, last)
        del self.astray[scan.id]
        return "ok"

    # Decisions, and what they are worth.

    def credit(self, stay: Stay, minutes: int) -> tuple[int, int, date]:
        """Minutes, points and the last day of the points."""
        day = day_of(stay.start)
        rules = self.rules(day)
        same = [each for each in self.records(self.who(stay.member)) if day_of(each.start) == day and each is not stay]
        used = sum(each.credited or 0 for each in same if each.verdict == "verified")
        credited = min(minutes - minutes % rules["rounding_minutes"], max(0, rules["daily_cap_minutes"] - used))
        rate = rules["default_rate"] if stay.grade in rules["point_grades"] else 0
        return credited, credited * rate // 60, date(day.year + rules["life_years"], 12, 31)

    def refusal(self, stay: Stay, *, own: bool, verdict: str, minutes: int | None, bulk: bool) -> str | None:
        """Why a decision is refused; `own`: by the manager who enters things."""
        if own and stay.station != 0:
            return "not_found"
        if stay.verdict != "waiting":
            return "already_decided"
        fast = not stay.held and stay.grade in self.rules(day_of(stay.start))["fast_track_grades"]
        if bulk and not fast:
            return "needs_single_decision"
        raises = verdict == "adjust" and (minutes or 0) > stay.minutes
        if own in stay.by_hand and (raises or "over_quota" in stay.held):
            return "second_approver_needed"
        return None

    def decide(self, stays: list[tuple[Stay, str, int | None]], now: datetime) -> None:
        """Decide what is not refused, in the order in which it was lived."""
        owed = dict(self.debts)
        for stay, verdict, minutes in sorted(stays, key=lambda each: (each[0].start, each[0].id)):
            stay.decided_at = now
            if verdict == "reject":
                stay.verdict = "rejected"
                continue
            stay.credited, stay.points, stay.ends_on = self.credit(stay, stay.minutes if minutes is None else minutes)
            stay.verdict = "verified"
            member = self.who(stay.member)
            self.hours[member] = self.hours.get(member, 0) + stay.credited
            self.earn(stay, stay.points, owed)

    def earn(self, stay: Stay, points: int, owed: dict[UUID, int]) -> None:
        """Points out of the fund, of which some pay back; or they wait. What was meant to pay back is spoken for."""
        if not points:
            return
        member = self.who(stay.member)
        repaid = min(owed.get(member, 0), points)
        owed[member] = owed.get(member, 0) - repaid
        if self.fund < points:
            stay.waiting = points
            return
        assert stay.ends_on
        self.fund -= points
        self.debts[member] = self.debts.get(member, 0) - repaid
        key = (member, stay.ends_on)
        self.purses[key] = self.purses.get(key, 0) + points - repaid
        stay.paid.append((*key, points))
        stay.waiting = 0

    def correct(self, stay: Stay, minutes: int | None, now: datetime, *, own: bool) -> tuple[str, int]:
        """Take back and earn anew; the code, and what is owed because of it."""
        if own and stay.station != 0:
            return "not_found", 0
        if stay.verdict == "waiting":
            return "not_decided", 0
        if own in stay.by_hand:
            raises = (minutes or 0) > max(stay.minutes, stay.credited or 0)
            if raises or "over_quota" in stay.held:
                return "second_approver_needed", 0
        was = (stay.credited or 0, stay.points or 0) if stay.verdict == "verified" else (0, 0)
        credited, points, ends_on = self.credit(stay, minutes) if minutes is not None else (0, 0, stay.ends_on)
        verdict = "reversed" if minutes is None else "verified"
        if (verdict, credited, points) == (stay.verdict, *was) or (verdict, stay.verdict) == ("reversed", "rejected"):
            return "nothing_to_correct", 0
        member, total = self.who(stay.member), sum(each for _, _, each in stay.paid)
        stay.ends_on = stay.paid[0][1] if stay.paid else ends_on
        lent = self.take_back(member, stay.paid[0][1], total) if stay.paid else 0
        self.fund += total
        self.hours[member] = self.hours.get(member, 0) + credited - was[0]
        kept, stay.paid, stay.waiting = min(points, total), [], 0
        repaid = min(lent, kept)
        self.debts[member] = self.debts.get(member, 0) + lent - repaid
        if kept:
            assert stay.ends_on
            self.fund -= kept
            self.purses[(member, stay.ends_on)] += kept - repaid
            stay.paid.append((member, stay.ends_on, kept))
        self.earn(stay, points - kept, dict(self.debts))
        stay.verdict, stay.credited, stay.points, stay.decided_at, stay.asked = verdict, credited, points, now, None
        return "ok", lent - repaid

    def take_back(self, member: UUID, day: date, points: int) -> int:
        """Out of a purse, and what expired from it; the rest is lent."""
        key = (member, day)
        missing = points - self.purses.get(key, 0)
        merged = sorted(each for each in self.into if self.who(each) == member)
        for each in (member, *merged):
            while missing > 0 and self.expired.get((each, day)):
                back = self.expired[(each, day)].pop()
                self.purses[key] = self.purses.get(key, 0) + back
                missing -= back
        lent = max(0, missing)
        self.purses[key] = self.purses.get(key, 0) + lent - points
        return lent

    def pay_waiting(self) -> None:
        """What the fund could pay one by one, the longest-waiting first."""
        due = [stay for stay in self.stays.values() if stay.verdict == "verified" and 0 < stay.waiting <= self.fund]
        owed = dict(self.debts)
        for stay in sorted(due, key=lambda each: (each.decided_at, each.id)):
            self.earn(stay, stay.waiting, owed)

    # Points.

    def expire(self, now: datetime) -> None:
        """Whatever is left in what is past."""
        for (member, day), points in self.purses.items():
            if day < day_of(now) and points:
                self.expired.setdefault((member, day), []).append(points)
                self.purses[(member, day)] = 0

    def redeem(self, member: UUID, now: datetime) -> str | list[tuple[UUID, date, int]]:
        """The parts of a redemption, the first to expire first; or why not."""
        if self.states[member] != "active":
            return "member_suspended"
        missing, parts = self.price, []
        for owner, day in sorted(self.purses, key=lambda key: key[1]):
            if owner == member and day >= day_of(now) and (taken := min(missing, self.purses[(owner, day)])):
                parts.append((owner, day, taken))
                missing -= taken
        if missing:
            return "points_short"
        for owner, day, points in parts:
            self.purses[(owner, day)] -= points
        return parts

    def release(self, redemption: Redemption, state: str) -> None:
        """Back to where they came from, or to the survivor's."""
        redemption.state = state
        for owner, day, points in redemption.parts:
            key = (self.who(owner), day)
            self.purses[key] = self.purses.get(key, 0) + points

    def merge(self, survivor: UUID, absorbed: UUID) -> str:
        """Two who are one."""
        if survivor in self.present or absorbed in self.present:
            return "checked_in"
        self.into[absorbed] = survivor
        for owner, day in list(self.purses):
            if owner == absorbed:
                points = self.purses.pop((owner, day))
                self.purses[(survivor, day)] = self.purses.get((survivor, day), 0) + points
        for table in (self.hours, self.debts):
            table[survivor] = table.get(survivor, 0) + table.pop(absorbed, 0)
        return "ok"
