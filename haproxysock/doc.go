// Package haproxysock talks to one HAProxy over its Runtime API: the "stats
// socket" of the global section, or the master CLI. It also owns the words the
// rest of the house uses: [ServerName], [AdminState], [AdminBits], [Stat].
//
// A [Client] sends one line of commands over one connection in one write, reads
// every reply to its real end, and closes. It obeys and reads; what should be
// said to whom is decided elsewhere.
//
// What the protocol cannot do: compare and set. The last writer wins, so a
// caller that must be sure reads back, and reads again later. And a command
// whose reply was not read may still be carried out.
//
// Three failures are told apart. A [*CommandError] is HAProxy's refusal: asking
// again is useless until somebody changes something. A [*ProtocolError] means
// that what came back is not an answer, or was cut short. Any other error means
// that HAProxy was not reached or did not answer in time; it wraps the network's
// or the context's error.
//
// References are to HAProxy's Management Guide, chapter 9.3 "Unix Socket
// commands" and 9.4 "Master CLI", unless they say otherwise.
package haproxysock
