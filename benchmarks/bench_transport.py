"""Share of 720p images that arrive at 30 Hz, best effort, with the shipped Fast DDS profile and without.

`python benchmarks/bench_transport.py [--seconds 10]`. Two processes a run: one publishes, one counts.
"""

from __future__ import annotations

import argparse
import array
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds.xml"
WIDTH, HEIGHT, RATE = 1280, 720, 30.0
DOMAIN = "87"


def publish(count: int) -> None:
    """Publish `count` images once a subscriber is there."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("bench_source")
    publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
    message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3)
    message.data = array.array("B", bytes(HEIGHT * WIDTH * 3))
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    time.sleep(0.5)
    due = time.monotonic()
    for _ in range(count):
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        due += 1.0 / RATE
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()


def receive(count: int) -> tuple[int, float]:
    """Images received, and the median time from stamp to callback in milliseconds (NaN when none came)."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.time import Time
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("bench_sink")
    delays: list[float] = []

    def take(message: Image) -> None:
        delays.append((node.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds / 1e6)

    node.create_subscription(Image, "image", take, qos_profile_sensor_data)
    source = subprocess.Popen([sys.executable, __file__, "--publish", str(count)])
    while source.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.shutdown()
    return len(delays), statistics.median(delays) if delays else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run")
    parser.add_argument("--publish", type=int, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--receive", type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.publish)
        return 0
    if options.receive:
        print(*receive(options.receive))
        return 0
    count = round(options.seconds * RATE)
    print(f"{WIDTH}x{HEIGHT} rgb8 at {RATE:.0f} Hz, best effort, {count} images; {machine()}")
    print(f"{'profile':<22}{'received':>12}{'share':>9}{'median ms':>12}")
    for name, profile in (("none", None), ("config/fastdds.xml", PROFILE)):
        environment = dict(os.environ, ROS_DOMAIN_ID=DOMAIN, ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
        for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
            environment.pop(variable, None)
            if profile is not None:
                environment[variable] = str(profile)
        command = [sys.executable, __file__, "--receive", str(count)]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        received, median = answer.stdout.split()
        print(f"{name:<22}{f'{received}/{count}':>12}{int(received) / count:>9.1%}{float(median):>12.1f}")
    return 0


def machine() -> str:
    """The machine that the figures belong to."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


if __name__ == "__main__":
    raise SystemExit(main())
