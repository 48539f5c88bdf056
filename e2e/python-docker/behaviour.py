"""What a program written against Docker's own Python SDK does, as its documentation shows it. DOCKER_HOST says where."""

import io
import queue
import socket
import tarfile
import threading
import time
import unittest

import docker
from docker.types import LogConfig, Mount, Ulimit


_makefile = socket.socket.makefile


def makefile(self, mode="r", buffering=None, **more):
    """The SDK reads an answer's head through a buffer, and what follows beside it: what came with the head would be lost."""
    return _makefile(self, mode, 1 if buffering is None and "b" in mode else buffering, **more)


socket.socket.makefile = makefile


def archive(**files):
    """A tar of files by their names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = docker.from_env()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def sleeper(self, **more):
        container = self.client.containers.run("busybox", "sleep 1000", detach=True, stop_signal="KILL", **more)
        self.addCleanup(container.remove, force=True, v=True)
        return container


class Engine(Case):
    def test_says_what_it_is(self):
        self.assertTrue(self.client.ping())
        self.assertEqual(self.client.version()["Os"], "linux")
        self.assertEqual(self.client.info()["OSType"], "linux")
        usage = self.client.df()
        self.assertTrue("LayersSize" in usage or "ImageUsage" in usage, usage)  # before and after API 1.52


class Containers(Case):
    def test_run_gives_the_output(self):
        self.assertEqual(self.client.containers.run("busybox", "echo hi", remove=True), b"hi\n")
        self.assertEqual(self.client.containers.run("busybox", ["sh", "-c", "echo o; echo e >&2"], stderr=True, remove=True), b"o\ne\n")

    def test_run_raises_for_an_exit_code(self):
        with self.assertRaises(docker.errors.ContainerError) as caught:
            self.client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
        self.assertEqual((caught.exception.exit_status, caught.exception.stderr), (3, b"no\n"))
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.api.create_container("no/such:image")
        with self.assertRaises(docker.errors.NotFound):
            self.client.containers.get("nobody")

    def test_life(self):
        container = self.sleeper(name="life", labels={"part": "life"}, environment={"A": "1"}, hostname="lives")
        self.assertEqual(container.status, "created")
        container.reload()
        self.assertEqual(container.status, "running")
        self.assertIn(container, self.client.containers.list(filters={"label": "part=life"}))
        self.assertEqual(container.top()["Processes"][0][-1], "sleep 1000")
        container.pause()
        container.reload()
        self.assertEqual(container.status, "paused")
        container.unpause()
        container.rename("lived")
        self.assertEqual(self.client.containers.get("lived").id, container.id)
        container.update(mem_limit="64m", memswap_limit="64m")
        container.reload()
        self.assertEqual(container.attrs["HostConfig"]["Memory"], 64 << 20)
        container.restart(timeout=0)
        container.kill()
        self.assertEqual(container.wait()["StatusCode"], 137)
        container.start()
        container.stop(timeout=0)
        self.assertEqual([c.id for c in self.client.containers.list(all=True, filters={"status": "exited"})], [container.id])

    def test_options(self):
        volume = self.client.volumes.create("kept-by-python")
        self.addCleanup(volume.remove)
        container = self.sleeper(
            mem_limit="32m", cpu_quota=50000, cpu_period=100000, pids_limit=20, read_only=True, tmpfs={"/scratch": "size=1m"},
            ulimits=[Ulimit(name="nofile", soft=100, hard=100)], cap_drop=["ALL"], user="1000:1000", working_dir="/scratch",
            log_config=LogConfig(type="json-file", config={"max-size": "1m"}), extra_hosts={"other": "10.9.8.7"}, dns=["10.9.8.6"],
            mounts=[Mount("/kept", "kept-by-python", type="volume")], init=True, shm_size="8m", sysctls={"net.ipv4.ip_forward": "0"},
            healthcheck={"test": ["CMD", "true"], "interval": 10**8},
        )
        shown = container.exec_run(["sh", "-c", "id -u; pwd; ulimit -n; grep -c 10.9.8.7 /etc/hosts; df -k /dev/shm | tail -1"]).output
        self.assertEqual(shown.split()[:4], [b"1000", b"/scratch", b"100", b"1"])
        self.assertIn(b"8192", shown)
        while container.attrs["State"].get("Health", {}).get("Status") != "healthy":
            time.sleep(0.01)
            container.reload()

    def test_logs(self):
        container = self.client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; done; echo e >&2"], detach=True)
        self.addCleanup(container.remove, force=True)
        self.assertEqual(b"".join(container.logs(stream=True, follow=True)), b"1\n2\n3\ne\n")
        self.assertEqual(container.logs(stderr=False, tail=2), b"2\n3\n")
        self.assertRegex(container.logs(stdout=False, timestamps=True), rb"^\d{4}-\d\d-\d\dT[\d:.]+Z e\n$")

    def test_attach(self):
        container = self.client.containers.create("busybox", "cat", stdin_open=True, tty=False)
        self.addCleanup(container.remove, force=True)
        connection = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        container.start()
        connection._sock.sendall(b"back and forth\n")
        heard = b""
        while len(heard) < 8 + len(b"back and forth\n"):
            heard += connection._sock.recv(4096)
        self.assertEqual(heard, b"\x01\0\0\0\0\0\0\x0fback and forth\n")
        connection._sock.close()
        container.kill()
        whole = self.client.containers.create("busybox", "echo attached")
        self.addCleanup(whole.remove, force=True)
        stream = whole.attach(stream=True, logs=True)
        whole.start()
        self.assertEqual(b"".join(stream), b"attached\n")

    def test_exec(self):
        container = self.sleeper()
        self.assertEqual(container.exec_run("id -un").output, b"root\n")
        code, (out, err) = container.exec_run(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True)
        self.assertEqual((code, out, err), (4, b"o\n", b"e\n"))
        self.assertEqual(container.exec_run("sh -c 'echo $X; pwd'", environment={"X": "y"}, workdir="/tmp").output, b"y\n/tmp\n")
        self.assertEqual(b"".join(container.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output), b"1\n2\n")
        made = self.client.api.exec_create(container.id, "cat", stdin=True)
        connection = self.client.api.exec_start(made["Id"], socket=True)
        connection._sock.sendall(b"hello")
        connection._sock.shutdown(1)
        heard = b""
        while part := connection._sock.recv(4096):
            heard += part
        self.assertEqual(heard[8:], b"hello")
        connection._sock.close()
        while self.client.api.exec_inspect(made["Id"])["Running"]:
            time.sleep(0.01)
        self.assertEqual(self.client.api.exec_inspect(made["Id"])["ExitCode"], 0)
        self.client.api.exec_start(self.client.api.exec_create(container.id, "touch /detached")["Id"], detach=True)
        terminal = self.client.api.exec_create(container.id, "tty", tty=True)
        self.assertRegex(self.client.api.exec_start(terminal["Id"], tty=True), rb"^/dev/pts/\d+\r\n$")

    def test_archives(self):
        container = self.sleeper()
        self.assertTrue(container.put_archive("/tmp", archive(note="from outside\n")))
        self.assertEqual(container.exec_run("cat /tmp/note").output, b"from outside\n")
        stream, status = container.get_archive("/tmp/note")
        self.assertEqual((status["name"], status["size"]), ("note", 13))
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            self.assertEqual(tar.extractfile("note").read(), b"from outside\n")
        self.assertIn({"Path": "/tmp/note", "Kind": 1}, container.diff())
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
            self.assertIn("tmp/note", [name.removeprefix("./") for name in tar.getnames()])
        image = container.commit("committed", "v1", changes=["CMD cat /tmp/note"])
        self.assertEqual(self.client.containers.run("committed:v1", remove=True), b"from outside\n")
        self.client.images.remove(image.id, force=True)

    def test_stats(self):
        container = self.sleeper()
        once = container.stats(stream=False)
        self.assertGreater(once["memory_stats"]["usage"], 0)
        self.assertIn("eth0", once["networks"])
        self.assertIn("total_usage", next(container.stats(decode=True))["cpu_stats"]["cpu_usage"])

    def test_ports(self):
        container = self.sleeper(ports={"80/tcp": None, "81/udp": ("127.0.0.1", None)})
        container.reload()
        self.assertRegex(container.ports["80/tcp"][0]["HostPort"], r"^\d+$")
        self.assertEqual(container.ports["81/udp"][0]["HostIp"], "127.0.0.1")

    def test_prune(self):
        self.client.containers.run("busybox", "true", labels={"goes": ""}, detach=True).wait()
        kept = self.sleeper()
        pruned = self.client.containers.prune(filters={"label": "goes"})
        self.assertEqual(len(pruned["ContainersDeleted"]), 1)
        kept.reload()


class Images(Case):
    def test_build_list_tag_save_load_remove(self):
        dockerfile = "FROM busybox\nARG WHO=nobody\nRUN echo built for $WHO > /note\nCMD cat /note\nLABEL made=here\n"
        image, lines = self.client.images.build(
            fileobj=io.BytesIO(archive(Dockerfile=dockerfile)), custom_context=True, tag="built:v1", buildargs={"WHO": "ana"}, rm=True
        )
        self.assertIn("built for", "".join(line.get("stream", "") for line in lines))
        self.assertEqual(self.client.containers.run(image, remove=True), b"built for ana\n")
        self.assertIn("built:v1", image.tags)
        self.assertEqual(self.client.images.list(filters={"label": "made=here"})[0].id, image.id)
        self.assertTrue(image.tag("again", "v2"))
        self.assertIn("again:v2", self.client.images.get("built:v1").tags)
        saved = b"".join(image.save(named="built:v1"))
        self.client.images.remove("again:v2")
        self.client.images.remove("built:v1")
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.images.get("built:v1")
        self.assertEqual([i.id for i in self.client.images.load(saved)], [image.id])
        self.assertTrue(self.client.images.get("built:v1").history()[0]["CreatedBy"])
        self.client.images.remove("built:v1")
        self.assertIn("SpaceReclaimed", self.client.images.prune())

    def test_a_failing_build_raises(self):
        with self.assertRaises(docker.errors.BuildError) as caught:
            self.client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 9\n"))
        self.assertRegex(caught.exception.msg, "returned a non-zero code: 9")

    def test_import(self):
        self.client.api.import_image_from_data(archive(file="x"), repository="imported", tag="v1")
        self.assertEqual(self.client.images.get("imported:v1").tags, ["imported:v1"])
        self.client.images.remove("imported:v1")


class NetworksAndVolumes(Case):
    def test_networks(self):
        network = self.client.networks.create("py-net", driver="bridge", internal=True, labels={"a": "b"})
        self.addCleanup(network.remove)  # after the containers: the last first
        one = self.sleeper(name="py-one", network="py-net")
        two = self.sleeper()
        network.connect(two, aliases=["second"])
        self.assertEqual(one.exec_run("ping -c 1 -W 5 second").exit_code, 0)
        network.reload()
        self.assertEqual({c.id for c in network.containers}, {one.id, two.id})
        self.assertEqual([n.name for n in self.client.networks.list(names=["py-net"])], ["py-net"])
        network.disconnect(two)
        self.assertNotIn("py-net", self.client.containers.get(two.id).attrs["NetworkSettings"]["Networks"])

    def test_volumes(self):
        volume = self.client.volumes.create("py-volume", labels={"a": "b"})
        self.client.containers.run("busybox", "touch /data/here", volumes={"py-volume": {"bind": "/data", "mode": "rw"}}, remove=True)
        listed = self.client.containers.run("busybox", "ls /data", volumes={"py-volume": {"bind": "/data", "mode": "ro"}}, remove=True)
        self.assertEqual(listed, b"here\n")
        self.assertEqual([v.name for v in self.client.volumes.list(filters={"label": "a=b"})], ["py-volume"])
        volume.remove()
        self.assertIn("VolumesDeleted", self.client.volumes.prune())


class Events(Case):
    def test_events_of_a_run_in_order(self):
        heard = queue.Queue()
        events = self.client.events(decode=True, filters={"type": "container", "label": "watched=yes"})
        listener = threading.Thread(target=lambda: [heard.put(event["Action"]) for event in events])
        listener.start()
        self.client.containers.run("busybox", "true", labels={"watched": "yes"}, remove=True)
        self.client.containers.run("busybox", "true", remove=True)
        seen = []
        while "destroy" not in seen:
            seen.append(heard.get(timeout=30))
        events.close()
        listener.join(30)
        self.assertEqual([action for action in seen if action != "attach"], ["create", "start", "die", "destroy"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
