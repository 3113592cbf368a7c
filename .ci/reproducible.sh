#!/usr/bin/env bash
# Builds the programs here, and again from a copy of the tree in another folder
# with an empty build cache, and compares the bytes, also of the lists
# of what is in them. The stamps are handed in
# (VERSION, COMMIT, TIME), since the copy has no git.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

elsewhere=$(mktemp -d)
trap 'chmod -R u+w "$elsewhere"; rm -rf "$elsewhere"' EXIT

make --no-print-directory build
mkdir "$elsewhere/tree"
tar -c --exclude ./.git --exclude ./.tools --exclude ./bin --exclude ./data . | tar -x -C "$elsewhere/tree"
GOCACHE="$elsewhere/cache" make --no-print-directory -C "$elsewhere/tree" build VERSION="$VERSION" COMMIT="$COMMIT" TIME="$TIME"

for file in aniproxy zendesk-sim aniproxy.cdx.json zendesk-sim.cdx.json; do
  cmp "bin/$file" "$elsewhere/tree/bin/$file"
done
(cd bin && sha256sum aniproxy zendesk-sim)
echo 'reproducible: both builds are the same to the byte'
