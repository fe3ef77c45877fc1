# SPDX-License-Identifier: MIT OR Apache-2.0
# Prints the functions that a header declares, or those of them that are wanted:
#
#   awk -v wanted="relakit_apply relakit_strerror" -f functions.awk relakit.h
#
# An unknown name is an error that lists similar names.

/^[A-Za-z]/ && match($0, /relakit_[a-z0-9_]*\(/) {
    names[++count] = substr($0, RSTART, RLENGTH - 1)
    declared[names[count]] = 1
}

END {
    if (!count) {
        print FILENAME " declares no functions" > "/dev/stderr"
        exit 1
    }
    total = split(wanted, words)
    for (w = 1; w <= total; w++)
        if (!(words[w] in declared)) {
            printf "%s declares no function %s.%s\n", FILENAME, words[w], similar(words[w]) > "/dev/stderr"
            failed = 1
        } else
            keep[words[w]] = 1
    if (failed)
        exit 1
    for (n = 1; n <= count; n++)
        if (!total || names[n] in keep)
            print names[n]
}

# Names with a few other letters, and names that contain the last word of the unknown one.
function similar(word,    n, last, text) {
    last = word
    sub(/.*_/, "", last)
    for (n = 1; n <= count; n++)
        if (distance(word, names[n]) <= 3 || (length(last) > 2 && index(names[n], last)))
            text = text " " names[n]
    return text == "" ? "" : " Similar names:" text
}

# Letters to insert, to remove or to change until the words are the same.
function distance(a, b,    i, j, row, above, cost) {
    for (j = 0; j <= length(b); j++)
        above[j] = j
    for (i = 1; i <= length(a); i++) {
        row[0] = i
        for (j = 1; j <= length(b); j++) {
            cost = above[j - 1] + (substr(a, i, 1) != substr(b, j, 1))
            row[j] = cost < above[j] + 1 ? cost : above[j] + 1
            if (row[j - 1] + 1 < row[j])
                row[j] = row[j - 1] + 1
        }
        for (j = 0; j <= length(b); j++)
            above[j] = row[j]
    }
    return above[length(b)]
}
