#!/usr/bin/env bash
# uninstall.sh [--purge]: takes the program, its units and its rules away. The pictures, the settings and the users stay, unless --purge.
set -euo pipefail

purge=
case ${1:-} in
'') ;;
--purge) purge=yes ;;
*)
    sed -n '2s/^# //p' "$0" >&2
    exit 2
    ;;
esac
[ "$(id -u)" -eq 0 ] || {
    echo "anonbox: needs root: sudo make uninstall" >&2
    exit 1
}

running() { [ -d /run/systemd/system ]; }

units="anonbox-signal.service anonbox-message.path anonbox-message.service anonbox-results.path anonbox-results.service anonbox-page.socket anonbox-page.service anonbox.service anonbox-attention.service anonbox.slice"
# shellcheck disable=SC2046,SC2086  # lists
if running; then
    systemctl stop run-anonbox-shares-{in,out}.{auto,}mount anonbox-share-{in,out}.service 2>/dev/null || true
    systemctl stop $units $(systemctl list-units --plain --no-legend 'anonbox-usb@*' | cut -d' ' -f1) || true
fi
for unit in anonbox.service anonbox-page.socket anonbox-results.path anonbox-signal.service anonbox-message.path run-anonbox-shares-{in,out}.automount; do
    systemctl disable --quiet "$unit" 2>/dev/null || true
done
rm -rf /etc/systemd/system/anonbox* /etc/systemd/system/run-anonbox-shares-* /etc/udev/rules.d/70-anonbox.rules /etc/systemd/journald.conf.d/anonbox.conf
rm -f /etc/sysusers.d/anonbox.conf /etc/tmpfiles.d/anonbox.conf /usr/local/bin/anonbox /etc/samba/anonbox.conf
rmdir --ignore-fail-on-non-empty /etc/sysusers.d /etc/systemd/journald.conf.d 2>/dev/null || true
[ ! -e /etc/samba/smb.conf ] || sed -i '\|^include = /etc/samba/anonbox.conf$|d' /etc/samba/smb.conf
rm -rf /opt/anonbox
rm -rf --one-file-system /run/anonbox # a share or a stick that would not unmount is not ours to empty
if running; then
    systemctl daemon-reload
    systemctl reset-failed 'anonbox*' 2>/dev/null || true
    udevadm control --reload
    ! systemctl is-active --quiet smbd || systemctl restart smbd
fi
if [ -z "$purge" ]; then
    echo "anonbox: removed. The pictures in /var/lib/anonbox, the settings in /etc/anonbox and the users stay; --purge removes them too."
    exit
fi
if [ -e /etc/systemd/system/var-lib-anonbox.mount ]; then
    ! running || systemctl stop var-lib-anonbox.mount
    data=$(sed -n 's/^What=//p' /etc/systemd/system/var-lib-anonbox.mount)
    systemctl disable --quiet var-lib-anonbox.mount 2>/dev/null || true
    rm -rf /etc/systemd/system/var-lib-anonbox.mount "${data:?}"
fi
rm -rf /var/lib/anonbox /etc/anonbox /etc/credstore{,.encrypted}/anonbox-*
for user in anonbox-page anonbox; do
    ! id "$user" >/dev/null 2>&1 || userdel "$user"
done
for group in anonbox-page anonbox anonbox-staff; do
    ! getent group "$group" >/dev/null || groupdel "$group"
done
echo "anonbox: removed, with all pictures and settings."
