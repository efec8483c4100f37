"""What is known of a verification only grows."""

from hwflow.facts.verified import Difference, Execution, RtlExecution, VerificationFacts
from hwflow.recipe import Stall


def facts(samples, frames, wrong=0):
    own = Execution(samples=samples, accuracy=0.9)
    difference = Difference(layer="linear0", sample=1, expected=(1,), got=(2,)) if wrong else None
    rtl = RtlExecution(
        samples=frames,
        accuracy=0.9,
        mismatches=wrong,
        difference=difference,
        stall=Stall(),
        cycles=frames,
        cycles_per_frame=1.0,
    )
    return VerificationFacts(software=own, emulator=own, rtl=(rtl,) if frames else ())


def test_fewer_frames_leave_what_is_known_and_more_replace_it():
    known = facts(359, 359)
    assert facts(359, 4).grown(known) == known
    assert facts(359, 0).grown(known) == known
    assert facts(1000, 4).grown(known) == facts(1000, 359)
    assert facts(359, 1000).grown(known) == facts(359, 1000)


def test_a_difference_counts_however_few_frames_it_was_found_on():
    differs = facts(359, 4, wrong=1)
    assert differs.grown(facts(359, 359)) == differs
