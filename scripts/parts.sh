# Sourced by the scripts that run several programs in a row: finished parts are kept, interrupted ones go on.
# A tiny model gains nothing from more threads, and so its figures do not depend on the number of cores.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# fingerprint INPUT...: one word for files (their bytes) and texts.
fingerprint() {
  local input
  for input in "$@"; do
    if [ -f "$input" ]; then sha256sum <"$input"; else printf '%s\n' "$input"; fi
  done | sha256sum | cut -c1-16
}

# part FOLDER FINGERPRINT TITLE COMMAND...: runs the command that fills FOLDER unless it has finished with the same
# fingerprint before. The folder of another fingerprint is removed; that of an interrupted run stays, to be resumed.
part() {
  local folder="$1" wanted="$2" title="$3" start=$SECONDS
  shift 3
  if [ "$(cat "$folder.finished" 2>/dev/null)" = "$wanted" ]; then
    echo "== $title: done before"
    return
  fi
  echo "== $title"
  [ "$(cat "$folder.started" 2>/dev/null)" = "$wanted" ] || rm -rf "$folder"
  rm -f "$folder.finished"
  printf '%s' "$wanted" >"$folder.started"
  "$@"
  mv "$folder.started" "$folder.finished"
  echo "== $title: $((SECONDS - start)) s"
}

# evaluate FOLDER ARGUMENTS...: lriad-eval into FOLDER, its table kept in FOLDER.txt and shown only by show_table.
evaluate() {
  local folder="$1" resume=()
  shift
  if [ -f "$folder/predictions.jsonl" ]; then resume=(--resume); fi
  "$bin/lriad-eval" --output "$folder" "${resume[@]}" "$@" >"$folder.txt"
}

# show_table TITLE FOLDER
show_table() {
  printf '\n%s\n' "$1"
  sed '/^answers  /,$d' "$2.txt"
}
