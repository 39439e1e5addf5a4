# A listener as plain as can be, to measure against: for each event one TCP
# connection that sets a state, the answer read and not looked at.
import socket
import sys

host, port, server = sys.argv[1], int(sys.argv[2]), sys.argv[3]
states = {"STOPPING": "drain", "RUNNING": "ready"}
while True:
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        break
    header = dict(token.split(":", 1) for token in line.split())
    sys.stdin.read(int(header["len"]))
    state = states.get(header["eventname"].rsplit("_", 1)[1], "maint")
    with socket.create_connection((host, port)) as c:
        c.sendall(("set server %s state %s\n" % (server, state)).encode())
        while c.recv(4096):
            pass
    sys.stdout.write("RESULT 2\nOK")
    sys.stdout.flush()
