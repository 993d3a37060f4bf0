"""Pseudo terminals for Node.js, which cannot make them.

  pty-relay.py offer              makes a terminal, says its path on stderr, relays it to stdin and stdout
  pty-relay.py run DIR CMD...     runs a program in a terminal, again and again, relays it likewise

Ends, and ends the program, when stdin is closed, when nobody reads stdout any more, and when it is told to. On Linux it
also ends with the process that started it, and the program with it, however they end.
"""
import ctypes
import os
import pty
import select
import signal
import sys
import termios
import tty

PR_SET_PDEATHSIG = 1


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


def die_with(parent):
    """The kernel kills this process when `parent` ends; Linux only."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before.
    if os.getppid() != parent:
        os._exit(1)


def run(directory, command):
    os.chdir(directory)
    relay_process = os.getpid()
    while True:
        child, master = pty.fork()
        if child == 0:
            die_with(relay_process)
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

        try:
            again = relay(master, running)
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        os.close(master)
        if not again:
            return


if __name__ == "__main__":
    for told in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Ends by way of what is to be cleaned up.
        signal.signal(told, lambda *_: sys.exit(0))
    die_with(os.getppid())
    try:
        if sys.argv[1] == "offer":
            offer()
        else:
            run(sys.argv[2], sys.argv[3:])
    except BrokenPipeError:
        # Nobody reads stdout; Python would complain once more when it closes it.
        os._exit(0)
