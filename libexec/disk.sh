# What the scripts beside this one share: the disk is an LV, `volume`, or an image file, and its mark is `MARK`;
# what cannot be done is `doing`, or the name of the script.
# shellcheck shell=sh disable=SC2154

# Not by echo, which obeys backslashes: what a guest has called something is among the words.
say() { printf '%s %s\n' "$(date '+%F %T')" "$*"; }
fail() { printf 'cannot %s %s: %s\n' "${doing:-${0##*/}}" "$name" "$*"; exit 1; }

marked() {
	if [ -n "$volume" ]; then
		tags=$(lvs --noheadings -o lv_tags "$volume") || fail "whether $disk carries the mark $MARK could not be found out"
		echo "$tags" | tr ',' '\n' | grep -qx " *$MARK *"
	else
		[ -e "$disk.$MARK" ]
	fi
}

held() {
	if [ -n "$volume" ]; then
		holders=$(lvs --noheadings -o lv_device_open "$volume") || fail "whether $disk is in use could not be found out"
	else
		holders=$(losetup --noheadings --output NAME --associated "$disk") || fail "whether $disk is in use could not be found out"
	fi
	[ -n "$(echo "$holders" | tr -d ' ')" ]
}

# Ends at once where there is nothing to do: it has just been done, or was never wanted.
require_mark() {
	if ! marked; then
		say "does nothing: $disk does not carry the mark $MARK"
		exit 0
	fi
	! held || fail "$disk is in use; \`lsblk\` tells where"
	# blkid ends with 2 where there is nothing, and without a word where it cannot read as well
	dd if="$disk" of=/dev/null bs=64k count=16 status=none || fail "$disk cannot be read"
}

# Ends as e2fsck does. Of a file system that a guest has made it may have millions of lines to say, and the disk of dom0
# is not to be filled by that: the first ones tell enough.
repair() {
	{ status=$( { { e2fsck -f -p "$disk" 2>&1 || echo $? >&3; } | { head -c 65536; cat > /dev/null; } >&4; } 3>&1); } 4>&1
	return "${status:-0}"
}

how_to_unmark() {
	if [ -n "$volume" ]; then echo "lvchange --deltag $MARK $volume"; else echo "rm $disk.$MARK"; fi
}

unmark() {
	if [ -n "$volume" ]; then lvchange --deltag "$MARK" "$volume"; else rm "$disk.$MARK"; fi
}
