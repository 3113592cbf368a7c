#!/usr/bin/env bash
# Keeps of what fuzzing has found a part in the tree, where every `go test` runs
# it: copies inputs from Go's fuzz cache to testdata/fuzz beside the tests. They
# are for committing; what breaks a target is there already, written by Go.
#
# A target has 40 files at most, each of 2 KB at most, and those copied are 24 KB
# together at most. Each input in the cache reached code that those before it did
# not. Which of them are the best is not asked: taken are some of every size,
# from the shortest to the longest. Nothing that is there is replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FILES=40 LARGEST=2048 TOGETHER=24576

cache=${FUZZCACHE:-$(go env GOCACHE)/fuzz}
module=$(go list -m)
here=$PWD

# keep FOLDER TARGET: from the cache of a target to its folder.
keep() {
  local from=$cache/$module/$1/$2 to=$1/testdata/fuzz/$2 room sum=0 taken=0 name size
  [[ -d $from ]] || return 0
  mkdir -p "$to"
  room=$((FILES - $(find "$to" -type f | wc -l)))
  while read -r size name; do
    [[ ! -e $to/$name ]] || continue
    ((sum + size <= TOGETHER && taken < room)) || break
    # Nothing of this machine goes into the tree.
    ! grep -qF -e "$here" -e "$HOME/" "$from/$name" || continue
    cp "$from/$name" "$to/$name"
    sum=$((sum + size)) taken=$((taken + 1))
  done < <(spread "$from" "$room")
  rmdir "$to" 2>/dev/null || true
  ((taken == 0)) || echo "corpus: $1 $2: $taken more"
}

# spread FOLDER COUNT: so many of its files, size and name, evenly by size.
spread() {
  (($2 > 0)) || return 0
  find "$1" -type f -size -"$((LARGEST + 1))"c -printf '%s %f\n' | sort -n |
    awk -v count="$2" '{ line[NR] = $0 } END {
      step = NR > count ? NR / count : 1
      for (i = 1; i <= NR; i += step) print line[int(i)]
    }'
}

while IFS=: read -r file target; do
  keep "$(dirname "$file")" "$target"
done < <(find . -name '.?*' -prune -o -name '*_test.go' -printf '%P\n' | xargs -r grep -HoE '^func Fuzz\w+' | sed 's/:func /:/' | sort)

total=$(find . -path ./.tools -prune -o -path '*/testdata/fuzz/*' -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
echo "corpus: $((total / 1024)) KB in the tree"
