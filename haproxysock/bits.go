package haproxysock

import (
	"fmt"
	"strings"
)

// AdminBits are the reasons, set by people, configuration, tracking or DNS, that
// keep a server out: the column srv_admin_state of "show servers state".
//
// HAProxy's include/haproxy/server-t.h, enum srv_admin.
type AdminBits uint32

const (
	ForcedMaint     AdminBits = 0x01 // FMAINT: maint was asked for
	InheritedMaint  AdminBits = 0x02 // IMAINT: the tracked server is in maint
	ConfiguredMaint AdminBits = 0x04 // CMAINT: "disabled" stands in the configuration; stays set for ever and keeps nothing out
	ForcedDrain     AdminBits = 0x08 // FDRAIN: drain was asked for
	InheritedDrain  AdminBits = 0x10 // IDRAIN: the tracked server drains
	ResolutionMaint AdminBits = 0x20 // RMAINT: the server's name has no address
	HostnameChanged AdminBits = 0x40 // FQDN_CHANGED, once HMAINT: the name was set at run time; keeps nothing out

	maintenanceBits = ForcedMaint | InheritedMaint | ResolutionMaint
	drainBits       = ForcedDrain | InheritedDrain
	knownAdminBits  = maintenanceBits | drainBits | ConfiguredMaint | HostnameChanged
)

// InMaint reports whether anything keeps the server in maintenance.
func (b AdminBits) InMaint() bool { return b&maintenanceBits != 0 }

// Draining reports whether the server drains, and is not in maintenance.
func (b AdminBits) Draining() bool { return b&drainBits != 0 && !b.InMaint() }

// InRotation reports whether nothing of this kind keeps requests away.
func (b AdminBits) InRotation() bool { return b&(maintenanceBits|drainBits) == 0 }

// Asked is the state that was asked for of this very server: what tracking,
// DNS and the configuration add is left out.
func (b AdminBits) Asked() AdminState {
	switch {
	case b&ForcedMaint != 0:
		return Maint
	case b&ForcedDrain != 0:
		return Drain
	}
	return Ready
}

// String names all bits, "0x80" and the like for those we do not know.
func (b AdminBits) String() string {
	if b == 0 {
		return "ready"
	}
	var words []string
	for _, n := range []struct {
		bit  AdminBits
		word string
	}{
		{ForcedMaint, "maint"}, {InheritedMaint, "maint by tracking"}, {ConfiguredMaint, "disabled in the configuration"},
		{ForcedDrain, "drain"}, {InheritedDrain, "drain by tracking"}, {ResolutionMaint, "maint by resolution"},
		{HostnameChanged, "hostname changed"},
	} {
		if b&n.bit != 0 {
			words = append(words, n.word)
		}
	}
	if rest := b &^ knownAdminBits; rest != 0 {
		words = append(words, fmt.Sprintf("%#x", uint32(rest)))
	}
	return strings.Join(words, ", ")
}

// CheckBits tell what a server's health check or agent check is at: the columns
// srv_check_state and srv_agent_state of "show servers state".
//
// HAProxy's include/haproxy/check-t.h, CHK_ST_*.
type CheckBits uint32

const (
	CheckInProgress CheckBits = 0x01
	CheckConfigured CheckBits = 0x02
	CheckEnabled    CheckBits = 0x04
	CheckPaused     CheckBits = 0x08 // by maintenance
	CheckAgent      CheckBits = 0x10
)

// Enabled reports whether there is a check that runs, or will when maintenance
// ends. HAProxy 2.2 enables checks that were never configured; they never run.
func (b CheckBits) Enabled() bool {
	const runs = CheckConfigured | CheckEnabled
	return b&runs == runs
}

// An OpState is what health makes of a server: the column srv_op_state of "show
// servers state".
//
// HAProxy's include/haproxy/server-t.h, enum srv_state.
type OpState int

const (
	OpStopped  OpState = 0 // down
	OpStarting OpState = 1 // up, with "slowstart" under way
	OpRunning  OpState = 2 // up
	OpStopping OpState = 3 // up for persistence only: NOLB
)
