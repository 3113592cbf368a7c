#!/usr/bin/env bash
# Runs fuzz targets for FUZZTIME each, one after the other: all, or those named.
#
#   FUZZTIME=60s .ci/fuzz.sh [FuzzLoad FuzzParse ...]
#
# The instrumented test binary of a package is built once and all its targets
# run from it, where `go test -fuzz` would build one for each. The inputs found
# to be interesting lie where go test puts them too, or under FUZZCACHE. One that
# breaks a target is written to testdata/fuzz beside the test, and every later
# `go test` runs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${FUZZTIME:=60s}"
cache=${FUZZCACHE:-$(go env GOCACHE)/fuzz}
wanted=" $* "

say() { printf '%s\n' "$@"; }
fail() { say "$@" >&2; exit 1; }

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

# On a busy machine the engine can take the end of its own time for a failure:
# it says "context deadline exceeded" then and names no input. That alone is
# tried once more; what an input broke is not.
fuzz_one() {
  local said=$built/said status=0
  fuzz "$@" >"$said" || status=$?
  if ((status != 0)) && grep -q '^ *context deadline exceeded$' "$said" && ! grep -q 'Failing input' "$said"; then
    say "-- $4 again: its time was over before it was told so"
    status=0
    fuzz "$@" >"$said" || status=$?
  fi
  # Of the progress that comes every few seconds the last line is enough.
  awk '/^fuzz: elapsed: / { last = $0; next } $0 != "PASS"; END { if (last != "") print last }' "$said"
  return "$status"
}

# Every new input is made smaller by 20 tries at most. Go's default is a minute
# for each, in which nothing else is tried: of a configuration file that is all
# the time there is.
fuzz() {
  local folder=$1 package=$2 binary=$3 target=$4
  (cd "$folder" && "$binary" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$FUZZTIME" \
    -test.fuzzminimizetime 20x -test.fuzzcachedir "$cache/$package" -test.timeout 0) </dev/null 2>&1
}

held=0 broken=()
# Those of this module, whatever else lies in the tree.
while read -r package folder files; do
  # shellcheck disable=SC2086 # the names of Go files, without blanks
  mapfile -t targets < <(cd "$folder" && grep -hoE '^func Fuzz\w+' $files | sed 's/^func //' | sort)
  for target in "${targets[@]}"; do
    [[ $wanted == '  ' || $wanted == *" $target "* ]] || continue
    binary=$built/${package//\//.}.test
    [[ -x $binary ]] || go test -c -fuzz . -o "$binary" "$package"
    say "-- $target for $FUZZTIME"
    if fuzz_one "$folder" "$package" "$binary" "$target"; then
      held=$((held + 1))
    else
      broken+=("$target")
    fi
  done
done < <(go list -f '{{.ImportPath}} {{.Dir}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}' ./... | awk 'NF > 2')

((${#broken[@]} == 0)) || fail "fuzz: ${broken[*]}: the input stands above and under testdata/fuzz"
((held > 0)) || fail 'fuzz: no target found, and there are parsers: the search must be broken'
say "fuzz: $held targets held"
