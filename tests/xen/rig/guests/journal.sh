# The journal: records of 128 bytes from the start of the disk, `XLJ1 SEQ SECONDS.MICROS EVENT`, padded with spaces,
# ended by a newline; a zeroed record ends them. Each is written with the end mark behind it and synced at once.
RECORD=128

# option NAME [DEFAULT]: the value of xl.NAME= on the kernel command line
option() {
    for word in $(busybox cat /proc/cmdline); do
        case "$word" in "xl.$1="*) echo "${word#*=}"; return ;; esac
    done
    echo "${2-}"
}

wait_for_disk() {
    while [ ! -b "/dev/$1" ]; do busybox sleep 0.05; done
}

# journal_open DEVICE: go on behind what is there; LIFE counts the starts of this domU
journal_open() {
    next=0 LIFE=1
    busybox dd if="$1" bs=65536 count=1 2>/dev/null | busybox tr -d '\000' > /run/old
    while read -r magic seq _ event _; do
        [ "$magic" = XLJ1 ] && [ "$seq" = "$next" ] || break
        next=$((next + 1))
        [ "$event" != started ] || LIFE=$((LIFE + 1))
    done < /run/old
    echo "$next" > /run/next
    device=$1
    echo "$1" > /run/device.new
    busybox mv /run/device.new /run/device
}

# journal_join: for another process of the same life
journal_join() {
    until [ -e /run/device ]; do busybox usleep 10000; done
    device=$(busybox cat /run/device)
}

# now: seconds.micros of the wall clock (busybox date has no %N)
now() {
    busybox adjtimex | while read -r key value _; do
        case "$key" in
            time.tv_sec:) seconds=$value ;;
            time.tv_usec:) busybox printf '%s.%06d\n' "$seconds" "$value" ;;
        esac
    done
}

# journal EVENT: one writer at a time (busybox of Debian has no flock)
journal() {
    until busybox mkdir /run/lock 2>/dev/null; do busybox usleep 10000; done
    seq=$(busybox cat /run/next)
    {
        busybox printf '%-127s\n' "XLJ1 $seq $(now) $1"
        busybox dd if=/dev/zero bs=$RECORD count=1 2>/dev/null
    } | busybox dd of="$device" bs=$((2 * RECORD)) seek=$((seq * RECORD)) iflag=fullblock oflag=seek_bytes conv=notrunc,fsync 2>/dev/null
    echo $((seq + 1)) > /run/next
    busybox rmdir /run/lock
}
