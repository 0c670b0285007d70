"""A process that a worker forks keeps no connection of its parent open."""

import os
import select
import socket

import pytest

from workers.inherited import let_go_of_sockets


def forked(work) -> int:
    """The process of a child that does it and then waits to be told to end; and by what it is told."""
    ready, done = os.pipe(), os.pipe()
    if not (pid := os.fork()):
        work()
        os.write(ready[1], b"1")
        os.read(done[0], 1)
        os._exit(0)
    assert os.read(ready[0], 1)
    return pid, done[1]


@pytest.mark.parametrize(("work", "told"), [(let_go_of_sockets, 0), (lambda: None, 1)])
def test_a_parent_hears_no_more_of_a_connection_that_it_has_closed(work, told):
    """Without it, as the second row shows, it hears of it for as long as the child lives."""
    ours, theirs = socket.socketpair()
    with select.epoll() as poller:
        poller.register(ours, select.EPOLLIN | select.EPOLLHUP)
        pid, done = forked(work)
        try:
            theirs.shutdown(socket.SHUT_RDWR)
            assert poller.poll(1)
            ours.close()
            assert len(poller.poll(0)) == told
        finally:
            os.write(done, b"1")
            os.waitpid(pid, 0)
            theirs.close()


def test_what_is_no_socket_is_kept():
    def work() -> None:
        let_go_of_sockets()
        os.write(pipe[1], b"kept")

    pipe = os.pipe()
    pid, done = forked(work)
    os.write(done, b"1")
    os.waitpid(pid, 0)
    assert os.read(pipe[0], 10) == b"kept"
