"""A child process with its output in a file. Ended only by its own process id."""

import os
import signal
import subprocess

from . import wait


class Process:
    def __init__(self, name, argv, folder, env=None, cwd=None, stdin=None):
        """Starts argv. Standard output and error go to folder/NAME.out and NAME.err (appended, so
        that restarts keep their history)."""
        self.name = name
        self.argv = [str(part) for part in argv]
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        self._mark = self.err_path.stat().st_size if self.err_path.exists() else 0
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self._child = subprocess.Popen(self.argv, stdout=out, stderr=err, cwd=cwd,
                                           stdin=stdin or subprocess.DEVNULL,
                                           env=dict(os.environ, **(env or {})))
        self.pid = self._child.pid

    def returncode(self):
        """None while it runs."""
        return self._child.poll()

    def running(self):
        return self._child.poll() is None

    def wait(self, seconds):
        try:
            return self._child.wait(seconds * wait.FACTOR)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds * wait.FACTOR:g} s\n"
                                 f"{self.tail()}") from None

    def send_signal(self, number):
        self._child.send_signal(number)

    def stop(self, seconds=20, number=signal.SIGTERM):
        """Asks it to end and returns its exit code."""
        if self.running():
            self.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        if self.running():
            self._child.kill()
        return self._child.wait()

    def err(self):
        """Standard error of this run."""
        with open(self.err_path, "rb") as file:
            file.seek(self._mark)
            return file.read().decode("utf-8", "replace")

    def out(self):
        return self.out_path.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines=25):
        return "\n".join(self.err().splitlines()[-lines:])

    def wait_err(self, text, seconds=10):
        """Until standard error contains text; returns all of it."""
        wait.until(lambda: text in self.err(), seconds,
                   lambda: f"{text!r} from {self.name}:\n{self.tail()}", alive=self)
        return self.err()

    def _status(self, key):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        raise AssertionError(f"{self.name}: no {key} in its status")

    def rss_bytes(self):
        return self._status("VmRSS") * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written_bytes(self):
        with open(f"/proc/{self.pid}/io", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("write_bytes:"))


def run(argv, seconds=30, env=None, cwd=None, text=None):
    """Runs a command to its end; returns subprocess.CompletedProcess with text output."""
    try:
        return subprocess.run([str(part) for part in argv], input=text, capture_output=True,
                              encoding="utf-8", errors="replace", timeout=seconds * wait.FACTOR,
                              env=dict(os.environ, **(env or {})), cwd=cwd, check=False)
    except subprocess.TimeoutExpired as error:
        stderr = error.stderr or b""
        raise AssertionError(f"{argv} did not end within {seconds} s: "
                             f"{stderr.decode('utf-8', 'replace')[-2000:]}") from None


