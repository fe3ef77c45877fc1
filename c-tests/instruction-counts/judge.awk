# SPDX-License-Identifier: MIT OR Apache-2.0
# Reads callgrind's files, three in a row for each case, and says whether the steps grow as they should. Every name in
# `functions` must be among the cases.
#
# From n to 4n there are 3n things more, and from 4n to 16n four times as many: linear are so many times the steps, whatever
# a call costs before it begins. The margin is for other compilers, which may treat the last few things of a loop differently.
#
# Searching and sorting take as many steps more from n to 4n as from 4n to 16n for each thing, as log n does; with n = 1000 the
# steps of n log n things grow by 4.6 to 5 times, those of pairs of things by 16 times. The margins are for which names are
# compared with which.
#
# "<= n log n" is for calls that promise no more than that. Twice as many things take at most 2.3 times as many steps more,
# so four times as many take at most 5.29 times. Pairs of things take 16 times. "<= log n" is for calls that search.

FNR == 1 { kind = "" }

sub(/^desc: Trigger: Client Request: /, "") {
    split($0, part, "|")
    kind = part[1]
    calls = part[2] == what ? calls + 1 : 1
    what = part[2]
    things[calls] = part[3]
}

/^totals: / && kind != "" {
    steps[calls] = $2
    if (calls == 3)
        judge()
}

function judge(    first, then, is, right) {
    first = steps[2] - steps[1]
    then = steps[3] - steps[2]
    is["constant"] = first == 0 && then == 0
    is["linear"] = first > 0 && then > 3.99 * first && then < 4.01 * first
    is["logarithmic"] = first > 0 && then > 0.7 * first && then < 1.4 * first
    is["n log n"] = first > 0 && then > 4.01 * first && then < 5.5 * first
    is["<= n log n"] = first >= 0 && then >= 0 && then <= 5.29 * first
    is["<= log n"] = first >= 0 && then >= 0 && then <= 1.5 * first
    right = kind ~ /^not / ? !is[substr(kind, 5)] : is[kind]
    printf "%s%-14s %9d %9d %9d %10.2f  %s\n", right ? "" : "FAILED: not ", kind, steps[1], steps[2], steps[3],
        then / (things[3] - things[2]), what
    cases++
    failures += !right
    controls += kind ~ /^not /
    sub(/[:,].*/, "", what)
    counted[what]
    what = ""
}

END {
    count = split(functions, name)
    for (i = 1; i <= count; i++)
        if (!(name[i] in counted)) {
            print "FAILED: nothing is counted of " name[i]
            failures++
        }
    printf "%d cases of %d functions, %d controls, %d failures\n", cases - controls, count, controls, failures
    exit !(failures == 0 && count > 0 && controls > 0)
}
