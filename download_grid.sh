#!/usr/bin/env bash
# Download the GRID corpus (Cooke et al. 2006, CC BY 4.0) into the folders that preprocess.py reads:
# OUT/sN/ID.mpg and OUT/align/sN/ID.align. See ./download_grid.sh --help.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./download_grid.sh [--out DIR] [SPEAKER ...]

Download videos and word alignments of the GRID corpus into DIR (default: data/grid_corpus).
SPEAKER is s1 or 1, up to s34; s21 has no video. Default: all 33, about 0.5 GB each.
An interrupted download is continued by the next run; complete speakers are skipped.

Environment variables:
  GRID_MIRROR      URL of a server with the same paths as the corpus' home page (tried first)
  GRID_ZENODO      URL of a server with the same paths as the Zenodo record (tried second)
  GRID_TIMEOUT     seconds without an answer or data before a server is given up (default: 60)
  KEEP_ARCHIVES=1  keep the downloaded archives in DIR/archives
USAGE
}

home_page=${GRID_MIRROR:-https://spandh.dcs.shef.ac.uk/gridcorpus}
zenodo=${GRID_ZENODO:-https://zenodo.org/records/3625687/files}
timeout=${GRID_TIMEOUT:-60}
mirrors="home_page zenodo" # without those that could not be reached

# bash ignores "set -e" in functions that are called in a condition ("||", "if"), as those here that can fail
# are. Each step in them that can fail therefore states what happens then.
say() { echo "$*" >&2; }
usage_error() { say "error: $*"; exit 2; }

# address MIRROR video|align SPEAKER: the URL of an archive.
address() {
    case "$1 $2" in
        "home_page video") echo "$home_page/$3/video/$3.mpg_vcd.zip" ;;
        "home_page align") echo "$home_page/$3/align/$3.tar" ;;
        "zenodo video") echo "$zenodo/$3.zip?download=1" ;;
        "zenodo align") echo "$zenodo/alignments.zip?download=1" ;; # of all speakers
    esac
}

# remote_headers URL: what the server states of a file, in lower case; the exit status is curl's.
remote_headers() {
    curl --silent --location --head --fail --connect-timeout "$timeout" --max-time "$timeout" "$1" |
        tr -d '\r' | tr '[:upper:]' '[:lower:]'
}

# stated_size HEADERS: the file's size in bytes; empty if it is not stated.
stated_size() { awk '$1 == "content-length:" { size = $2 } END { print size }' <<<"$1"; }

# stated_md5 HEADERS: the file's MD5 sum in hexadecimal digits, as Zenodo states it; empty if not stated.
stated_md5() {
    sed -n -E 's/^(content-md5: *|etag: *"?md5:)([0-9a-f]{32})("|$).*/\2/p' <<<"$1" | tail -n 1
}

# md5_of FILE: its MD5 sum in hexadecimal digits; empty where no tool computes it.
md5_of() { { md5sum <"$1" || md5 -q "$1"; } 2>/dev/null | cut -d ' ' -f 1 || true; }

# ends_in_zeros FILE: whether a tar archive has its end, two blocks of zeros; tar accepts one without.
ends_in_zeros() { [[ $(size_of "$1") -ge 1024 && $(tail -c 1024 "$1" | tr -d '\0' | wc -c) -eq 0 ]]; }

# size_of FILE: its size in bytes, 0 if it does not exist.
size_of() { if [[ -f $1 ]]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

# is_complete FILE SIZE MD5: whether FILE has this size and sum (if given) and passes the archive test.
is_complete() {
    local sum
    [[ -f $1 && (-z $2 || $(size_of "$1") -eq $2) ]] || return 1
    if [[ -n $3 ]]; then
        sum=$(md5_of "$1")
        [[ -z $sum || $sum == "$3" ]] || return 1
    fi
    case $1 in
        *.zip) unzip -tqq "$1" ;;
        *.tar) tar -tf "$1" && ends_in_zeros "$1" ;;
    esac >/dev/null 2>&1
}

# transfer URL FILE: download what FILE lacks; the exit status is curl's.
transfer() {
    local progress=--silent
    if [[ -t 2 ]]; then progress=--progress-bar; fi
    curl "$progress" --fail --location --connect-timeout "$timeout" \
        --speed-limit 1000 --speed-time "$timeout" --retry 3 --continue-at - --output "$2" "$1"
}

# is_unreachable STATUS: whether curl's exit status says that there is no server, or none that answers.
is_unreachable() { case $1 in 5 | 6 | 7 | 28 | 35 | 60) return 0 ;; *) return 1 ;; esac; }

# give_up MIRROR URL STATUS: go on without this mirror.
give_up() {
    say "cannot reach ${2%%\?*} (curl error $3)"
    mirrors=${mirrors/$1/}
}

# fetch MIRROR video|align SPEAKER FILE: download and check an archive, or print why that failed. An
# incomplete file is kept for the next run to continue; a complete but damaged one is removed.
fetch() {
    local url headers size md5 status=0
    url=$(address "$1" "$2" "$3")
    headers=$(remote_headers "$url") || status=$?
    if is_unreachable $status; then
        give_up "$1" "$url" $status
        return 1
    fi
    status=0
    size=$(stated_size "$headers")
    md5=$(stated_md5 "$headers")
    if is_complete "$4" "$size" "$md5"; then return 0; fi
    if [[ -n $size && $(size_of "$4") -ge $size ]]; then rm -f "$4"; fi # damaged
    transfer "$url" "$4" || status=$?
    if [[ $status -eq 33 ]]; then # this server cannot continue a download
        rm -f "$4"
        status=0
        transfer "$url" "$4" || status=$?
    fi
    if is_unreachable $status; then
        give_up "$1" "$url" $status
        return 1
    fi
    case $status in
        0) ;;
        22) say "cannot download ${url%%\?*} (HTTP error)"; return 1 ;;
        *) say "interrupted: ${url%%\?*} (curl error $status); run again to continue the download"; return 1 ;;
    esac
    if ! is_complete "$4" "$size" "$md5"; then
        say "removed a damaged archive: ${url%%\?*}; run again to download it"
        rm -f "$4"
        return 1
    fi
}

# unpack ARCHIVE EXTENSION FOLDER: all files with this extension, from any folder of the archive, into FOLDER.
# An archive from which that fails is removed.
unpack() {
    if unpack_files "$@"; then return 0; fi
    say "removed an archive that cannot be unpacked: $1; check the free space, and run again to download it"
    rm -f "$1"
    return 1
}

# unpack_files ARCHIVE EXTENSION FOLDER: the same; a failure leaves the archive.
unpack_files() {
    rm -rf "$work/tree" "$3"
    mkdir -p "$work/tree" "$3" || return 1
    case $1 in
        *.zip) unzip -qq -o "$1" -d "$work/tree" ;;
        *.tar) tar -xf "$1" -C "$work/tree" ;;
    esac || return 1
    # "._*" files hold macOS metadata.
    find "$work/tree" -type f -name "*.$2" ! -name '._*' -exec sh -c 'mv -f "$@" "$0"' "$3" {} + || return 1
    rm -rf "$work/tree"
    if [[ -z $(ls "$3") ]]; then
        say "no .$2 file in $1"
        return 1
    fi
}

discard() { if [[ ${KEEP_ARCHIVES:-} != 1 ]]; then rm -f "$1"; fi; }

# get_video MIRROR SPEAKER: the speaker's videos.
get_video() {
    local archive=$archives/$1-$2.zip
    fetch "$1" video "$2" "$archive" && unpack "$archive" mpg "$work/$2" &&
        mv "$work/$2" "$out/$2" && discard "$archive"
}

# get_align MIRROR SPEAKER: the alignments of the speaker's clips. They are found by the clip's id, not by
# folder, since Zenodo's archive has some speakers under another's name (lhotse pull request 1502).
get_align() {
    local clip file found=() archive=$archives/$1-$2-align.tar pool=$work/align-$1-$2
    if [[ $1 == zenodo ]]; then # one archive for all speakers: unpacked once per run
        archive=$archives/zenodo-align.zip
        pool=$work/align-zenodo
    fi
    if [[ ! -d $pool ]]; then
        fetch "$1" align "$2" "$archive" && unpack "$archive" align "$pool" && discard "$archive" || return 1
    fi
    for clip in "$out/$2"/*.mpg; do
        file=$pool/$(basename "$clip" .mpg).align
        if [[ -f $file ]]; then found+=("$file"); fi
    done
    if [[ ${#found[@]} -eq 0 ]]; then
        say "no alignments of $2's clips at ${!1}"
        return 1
    fi
    mkdir -p "$work/found" "$out/align" && cp "${found[@]}" "$work/found" && mv "$work/found" "$out/align/$2"
}

# try_mirrors video|align SPEAKER: get it from the first mirror that has it.
try_mirrors() {
    local mirror
    for mirror in $mirrors; do
        if "get_$1" "$mirror" "$2"; then return 0; fi
    done
    return 1
}

# count FOLDER: the number of files in it.
count() { find "$1" -type f | wc -l | tr -d ' '; }

# get_speaker SPEAKER: what is missing of videos and alignments.
get_speaker() {
    if [[ -d $out/$1 && -d $out/align/$1 ]]; then
        echo "$1: already there"
        return 0
    fi
    [[ -d $out/$1 ]] || try_mirrors video "$1" || return 1
    [[ -d $out/align/$1 ]] || try_mirrors align "$1" || return 1
    echo "$1: $(count "$out/$1") clips, $(count "$out/align/$1") alignments"
}

out=data/grid_corpus
speakers=()
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --out)
            [[ $# -ge 2 ]] || usage_error "--out needs a folder"
            out=$2
            shift
            ;;
        -*) usage_error "unknown option $1; see --help" ;;
        s21 | 21) usage_error "speaker s21 has no video: leave it out" ;;
        *)
            [[ $1 =~ ^s?([1-9]|[12][0-9]|3[0-4])$ ]] || usage_error "no speaker $1: choose from s1 to s34"
            speakers+=("s${1#s}")
            ;;
    esac
    shift
done
if [[ ${#speakers[@]} -eq 0 ]]; then
    for number in {1..20} {22..34}; do speakers+=("s$number"); done
fi

for tool in curl unzip tar; do
    command -v "$tool" >/dev/null || usage_error "$tool is not installed: install it and run again"
done

archives=$out/archives
work=$out/.unpacking # on the same file system as $out, so that a complete folder is moved in one step
mkdir -p "$archives" "$work"
trap 'rm -rf "$work"; rmdir "$archives" 2>/dev/null || true' EXIT

failed=()
for speaker in "${speakers[@]}"; do
    get_speaker "$speaker" || failed+=("$speaker")
    if [[ -z ${mirrors// /} ]]; then
        say "error: no server can be reached: check the network, or set GRID_MIRROR; then run again"
        exit 1
    fi
done
if [[ ${#failed[@]} -gt 0 ]]; then
    say "error: ${#failed[@]} of ${#speakers[@]} speakers are missing: ${failed[*]}; run again to continue"
    exit 1
fi
