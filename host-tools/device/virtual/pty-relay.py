"""Pseudo terminals for Node.js, which cannot make them.

  pty-relay.py offer              makes a terminal, says its path on stderr, relays it to stdin and stdout
  pty-relay.py run DIR CMD...     runs a program in a terminal, again and again, relays it likewise

Ends, and ends the program, when stdin is closed.
"""
import os
import pty
import select
import signal
import sys
import termios
import tty


def relay(master, running):
    """Copies both ways; false when stdin was closed."""
    while True:
        ready, _, _ = select.select([0, master], [], [], 0.2)
        if master in ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if data:
                os.write(1, data)
            elif running():
                # Nobody has the other end open just now.
                select.select([0], [], [], 0.05)
            else:
                return True
        elif not running():
            return True
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return False
            while data:
                data = data[os.write(master, data):]


def offer():
    master, slave = pty.openpty()
    tty.setraw(slave)
    # The slave stays open here, so that a client that leaves does not end the terminal.
    sys.stderr.write(os.ttyname(slave) + "\n")
    sys.stderr.flush()
    relay(master, lambda: True)


def run(directory, command):
    os.chdir(directory)
    while True:
        child, master = pty.fork()
        if child == 0:
            # Espruino's queue of input is made for a thread that the main loop never runs beside, as on an ESP32, where
            # both are tasks of one core: on two cores it is overrun, and the interpreter crashes.
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            os.execv(command[0], command)
        state = termios.tcgetattr(master)
        state[1] &= ~termios.OPOST
        state[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(master, termios.TCSANOW, state)
        ended = []

        def running():
            if not ended and os.waitpid(child, os.WNOHANG)[0] == child:
                ended.append(True)
            return not ended

        again = relay(master, running)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(master)
        if not again:
            return


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.argv[1] == "offer":
        offer()
    else:
        run(sys.argv[2], sys.argv[3:])
