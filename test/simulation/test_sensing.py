"""Rendering and sensors against geometry that is known without them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sam3d_ros.geometry.boxes import OrientedBox
from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import BODY_FROM_OPTICAL, Similarity
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.geometry.pointmaps import depth_of, points_from_depth
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.geometry.surfaces import distance_to_surface, surface_distance, transformed
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.export import write_frame_folder
from sam3d_ros.simulation.frames import camera_from_object, frame_from_depth, frame_from_lidar
from sam3d_ros.simulation.paints import Plain
from sam3d_ros.simulation.rendering import Rendering, render
from sam3d_ros.simulation.scenes import Light, Scene, object_from_surface, random_scene
from sam3d_ros.simulation.sensors import PERFECT_DEPTH, DepthSensor, Lidar
from sam3d_ros.simulation.trajectories import arc, look_at, view_of_all, viewpoint, visible_shares

CAMERA = Camera(320, 240, 285.0, 285.0, 159.5, 119.5)
#: A scanner above the camera, its x axis along the optical axis.
CAMERA_FROM_LIDAR = Similarity(BODY_FROM_OPTICAL.T, np.array([0.02, -0.12, -0.05]))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return random_scene(3)


@pytest.fixture(scope="module")
def rendering(scene: Scene) -> Rendering:
    return render(scene, CAMERA, view_of_all(scene, CAMERA, np.random.default_rng(3)))


def box_scene(size: tuple[float, float, float]) -> Scene:
    """One white box on the plane z = 0, which is a large slab."""
    thing = object_from_surface(shapes.box(size), Plain((0.9, 0.9, 0.9), 0.0), label="box", instance_id=1)
    slab, triangles = shapes.box((2.0, 2.0, 0.1))
    table = object_from_surface(
        (slab - [0.0, 0.0, 0.1], triangles), Plain((0.5, 0.4, 0.3), 0.0), label="table", instance_id=0
    )
    return Scene((thing,), (table,), Light((0.0, 0.0, 1.0), lamp=0.8, sky=0.2))


def test_depth_of_a_box_on_a_table_from_above() -> None:
    """Straight down from 1 m (a hair aside, since upright has no meaning there): 0.9 m to the lid of 0.1 m."""
    picture = render(box_scene((0.2, 0.3, 0.1)), CAMERA, look_at((0.0, -1e-6, 1.0), (0.0, 0.0, 0.0)))
    np.testing.assert_allclose(picture.depth[119:121, 159:161], 0.9, atol=1e-4)
    np.testing.assert_allclose(picture.depth[5, 5], 1.0, atol=1e-4)
    np.testing.assert_allclose(picture.normals[119, 159], [0, 0, -1], atol=1e-4)
    # The lid spans 0.2 * 285 / 0.9 = 63.3 by 0.3 * 285 / 0.9 = 95 pixels, and no side is seen.
    assert picture.labels.max() == 1
    assert (picture.labels[119] == 1).sum() in (63, 64)
    assert (picture.labels[:, 159] == 1).sum() in (94, 95, 96)


def test_depth_of_an_oblique_table_is_that_of_the_plane() -> None:
    pose = viewpoint(0.9, 0.4, np.deg2rad(35))
    picture = render(box_scene((0.1, 0.1, 0.1)), CAMERA, pose)
    table = picture.labels == 0
    normal, height = pose.rotation.T @ [0, 0, 1], pose.translation[2]
    expected = -height / (CAMERA.rays() @ normal)
    on_slab = table & (picture.depth > 0)
    assert on_slab.sum() > 10_000
    np.testing.assert_allclose(picture.depth[on_slab], expected[on_slab], rtol=1e-5)
    np.testing.assert_allclose(picture.normals[on_slab] @ normal, 1.0, atol=1e-5)


def test_truth_lies_on_the_noise_free_depth(scene: Scene, rendering: Rendering) -> None:
    depth = PERFECT_DEPTH.measure(rendering, np.random.default_rng(0))
    np.testing.assert_allclose(depth, rendering.depth, atol=1e-6)
    points = points_from_depth(depth, CAMERA)
    for thing in scene.objects:
        own = points[rendering.labels == thing.instance_id]
        assert len(own) > 100
        mesh = transformed(thing.mesh, camera_from_object(rendering, thing))
        assert distance_to_surface(own, mesh).max() < 1e-4
        assert (
            OrientedBox.of_mesh(thing.mesh, camera_from_object(rendering, thing))
            .contains(own * 0.99999)
            .any()
        )


def test_labels_are_the_silhouettes_without_what_hides_them(scene: Scene, rendering: Rendering) -> None:
    nearest, winner = np.full(CAMERA.rays().shape[:2], np.inf), np.zeros((240, 320), int)
    for thing in scene.objects:
        hits = RayScene([(thing.mesh, camera_from_object(rendering, thing))]).cast(CAMERA.rays())
        closer = hits.distance < nearest
        nearest, winner = (
            np.where(closer, hits.distance, nearest),
            np.where(closer, thing.instance_id, winner),
        )
    visible = nearest <= rendering.depth + 1e-4
    np.testing.assert_array_equal(rendering.labels[visible], winner[visible])
    assert (rendering.labels[~visible & (winner > 0)] == 0).all(), "only the table may hide the rest"
    assert (~visible & (winner > 0)).sum() < 60


def test_pictures_are_the_same_each_time(scene: Scene, rendering: Rendering) -> None:
    again = render(random_scene(3), CAMERA, rendering.world_from_camera)
    for name in ("rgb", "depth", "labels", "normals"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rendering, name))


def test_light_obeys_lambert_and_casts_a_shadow() -> None:
    """Lamp at 45 degrees from +x: a wall towards it is as bright as the ground; behind the box it is dark."""
    scene = box_scene((0.1, 0.1, 0.1))
    slanted = Scene(
        scene.objects, scene.furniture, Light((np.sqrt(0.5), 0.0, np.sqrt(0.5)), lamp=0.8, sky=0.2)
    )
    picture = render(slanted, CAMERA, viewpoint(0.8, 0.0, np.deg2rad(70)))

    def brightness(x: float, y: float, z: float) -> int:
        u, v = np.rint(CAMERA.project(picture.world_from_camera.apply_inverse([x, y, z]))).astype(int)
        return int(picture.rgb[v, u, 0])

    assert brightness(-0.1, 0.0, 0.0) < 0.75 * brightness(0.2, 0.0, 0.0)
    assert brightness(0.02, 0.0, 0.1) > brightness(0.2, 0.0, 0.0), (
        "the box is painted brighter than the table"
    )


def test_distorted_cameras_see_along_their_rays(scene: Scene) -> None:
    lens = Camera(320, 240, 285.0, 285.0, 159.5, 119.5, "plumb_bob", (-0.25, 0.06, 0.001, -0.001, 0.0))
    pose = viewpoint(0.9, 0.2, np.deg2rad(40))
    picture = render(scene, lens, pose)
    plain = render(scene, CAMERA, pose)
    # The same place of the world through both lenses.
    v, u = np.nonzero(
        (plain.labels > 0) & (cv2.erode((plain.labels > 0).astype(np.uint8), np.ones((5, 5))) > 0)
    )
    points = points_from_depth(plain.depth, CAMERA)[v, u]
    pixels = np.rint(lens.project(points)).astype(int)
    inside = lens.contains(pixels)
    same = picture.labels[pixels[inside, 1], pixels[inside, 0]] == plain.labels[v[inside], u[inside]]
    assert same.mean() > 0.97


def test_depth_noise_grows_with_the_square_of_the_distance() -> None:
    sensor = DepthSensor(disparity_step=0.0, speckle=0.0, unit=1e-6)
    spread = {}
    for distance in (0.5, 1.0, 2.0):
        flat = Rendering(
            CAMERA,
            Similarity(),
            np.zeros((240, 320, 3), np.uint8),
            np.full((240, 320), distance, np.float32),
            np.tile(np.float32([0, 0, -1]), (240, 320, 1)),
            np.zeros((240, 320), np.uint16),
        )
        measured = sensor.measure(flat, np.random.default_rng(0))
        assert (measured > 0).all()
        assert abs(np.mean(measured) - distance) < 0.002 * distance**2
        spread[distance] = measured.std()
    gain = CAMERA.fx * sensor.baseline
    assert spread[1.0] == pytest.approx(sensor.disparity_noise / gain, rel=0.1)
    assert spread[1.0] / spread[0.5] == pytest.approx(4.0, rel=0.1)
    assert spread[2.0] / spread[1.0] == pytest.approx(4.0, rel=0.1)


def test_depth_is_quantised_and_limited(rendering: Rendering) -> None:
    sensor = DepthSensor(nearest=0.5, farthest=0.9)
    depth = sensor.measure(rendering, np.random.default_rng(1))
    known = depth[depth > 0]
    assert known.min() >= 0.4995
    assert known.max() <= 0.9005
    np.testing.assert_allclose(known / 0.001, np.rint(known / 0.001), atol=1e-3)


def test_holes_are_at_edges_grazing_angles_and_beside_the_foreground() -> None:
    """A box 0.3 m in front of a wall: the second eye on the right misses a band on the left of it."""
    sensor = DepthSensor(speckle=0.0, flying=0.0, edge_loss=0.0, grazing=0.0)
    depth = np.full((240, 320), 1.2, np.float32)
    depth[80:160, 100:200] = 0.9
    step = Rendering(
        CAMERA,
        Similarity(),
        np.zeros((240, 320, 3), np.uint8),
        depth,
        np.tile(np.float32([0, 0, -1]), (240, 320, 1)),
        np.zeros((240, 320), np.uint16),
    )
    lost = sensor.measure(step, np.random.default_rng(0)) == 0
    # Parallax 285 * 0.05 * (1 / 0.9 - 1 / 1.2) = 3.96 pixels: those from 96.04 on.
    assert np.flatnonzero(lost[120]).tolist() == [97, 98, 99]
    assert not lost[:80].any()
    grazing = Rendering(
        CAMERA,
        Similarity(),
        step.rgb,
        np.full_like(depth, 1.0),
        np.tile(np.float32([1, 0, 0]), (240, 320, 1)),
        step.labels,
    )
    lost = DepthSensor(grazing=0.3).measure(grazing, np.random.default_rng(0)) == 0
    assert lost[:, 150:170].mean() > 0.8
    assert lost[:, :20].mean() < lost[:, 150:170].mean() - 0.3


def test_flying_pixels_lie_between_the_surfaces(rendering: Rendering) -> None:
    quiet = DepthSensor(
        disparity_noise=0.0, disparity_step=0.0, edge_loss=0.0, speckle=0.0, grazing=0.0, baseline=1e-6
    )
    depth = quiet.measure(rendering, np.random.default_rng(0))
    changed = (depth > 0) & (np.abs(depth - rendering.depth) > 0.005)
    assert 50 < changed.sum() < 0.05 * depth.size
    kernel = np.ones((3, 3), np.uint8)
    assert (depth[changed] >= cv2.erode(rendering.depth, kernel)[changed] - 2e-3).all()
    assert (depth[changed] <= cv2.dilate(rendering.depth, kernel)[changed] + 2e-3).all()


def test_lidar_points_lie_on_surfaces(scene: Scene, rendering: Rendering) -> None:
    world_from_lidar = rendering.world_from_camera @ CAMERA_FROM_LIDAR
    sweep = Lidar(noise=0.0, dropout=0.0).scan(scene, world_from_lidar, np.random.default_rng(0))
    assert sweep.dtype == np.float32
    world = world_from_lidar.apply(sweep[:, :3])
    near = np.linalg.norm(sweep[:, :3], axis=1) < 2.5
    distance = np.full(len(world), np.inf)
    for thing in scene.things:
        distance = np.minimum(
            distance, distance_to_surface(world, transformed(thing.mesh, thing.world_from_object))
        )
    assert distance[near].max() < 2e-4
    assert ((sweep[:, 3] >= 0) & (sweep[:, 3] <= 1)).all()


def test_lidar_noise_is_along_the_beam(scene: Scene, rendering: Rendering) -> None:
    world_from_lidar = rendering.world_from_camera @ CAMERA_FROM_LIDAR
    exact = Lidar(noise=0.0, dropout=0.0).scan(scene, world_from_lidar, np.random.default_rng(0))
    noisy = Lidar(noise=0.01, dropout=0.0).scan(scene, world_from_lidar, np.random.default_rng(0))
    assert len(exact) == len(noisy)
    ranges = [np.linalg.norm(sweep[:, :3], axis=1) for sweep in (exact, noisy)]
    assert (ranges[1] - ranges[0]).std() == pytest.approx(0.01, rel=0.05)
    np.testing.assert_allclose(
        exact[:, :3] / ranges[0][:, None], noisy[:, :3] / ranges[1][:, None], atol=1e-5
    )
    assert len(Lidar(dropout=0.5).scan(scene, world_from_lidar, np.random.default_rng(0))) < 0.55 * len(exact)


def test_frames_have_points_of_their_sensor(scene: Scene, rendering: Rendering) -> None:
    rng = np.random.default_rng(0)
    depth = DepthSensor().measure(rendering, rng)
    frame = frame_from_depth(scene, rendering, depth, stamp=7)
    assert (frame.stamp, frame.points_source) == (7, PointsSource.DEPTH)
    assert frame.label_names == scene.label_names
    np.testing.assert_array_equal(np.isfinite(depth_of(frame.points)), depth > 0)
    sweep = Lidar().scan(scene, rendering.world_from_camera @ CAMERA_FROM_LIDAR, rng)
    sparse = frame_from_lidar(scene, rendering, sweep, CAMERA_FROM_LIDAR)
    assert sparse.points_source is PointsSource.LIDAR
    measured = np.isfinite(depth_of(sparse.points))
    error = np.abs(depth_of(sparse.points) - rendering.depth)[measured]
    assert measured.sum() > 1000
    # Seen from 12 cm above, with a pixel of 3 mm: nearly all returns are what the camera sees.
    assert (error < 0.03).mean() > 0.95


def test_a_frame_folder_is_read_back_as_it_was(tmp_path: Path, scene: Scene, rendering: Rendering) -> None:
    rng = np.random.default_rng(0)
    depth = DepthSensor().measure(rendering, rng)
    sweep = Lidar().scan(scene, rendering.world_from_camera @ CAMERA_FROM_LIDAR, rng)
    write_frame_folder(
        tmp_path / "f", scene, rendering, depth=depth, lidar=sweep, camera_from_lidar=CAMERA_FROM_LIDAR
    )
    folder = read_frame_folder(tmp_path / "f")
    np.testing.assert_array_equal(folder.rgb, rendering.rgb)
    np.testing.assert_array_equal(folder.labels, rendering.labels)
    assert folder.depth is not None
    np.testing.assert_allclose(folder.depth, depth, atol=1e-6)
    np.testing.assert_array_equal(folder.lidar, sweep)
    assert folder.camera_from_lidar is not None
    np.testing.assert_allclose(folder.camera_from_lidar.matrix(), CAMERA_FROM_LIDAR.matrix(), atol=1e-9)
    assert folder.fixed_from_camera is not None
    np.testing.assert_allclose(
        folder.fixed_from_camera.matrix(), rendering.world_from_camera.matrix(), atol=1e-9
    )
    assert folder.camera == CAMERA
    assert folder.label_names == scene.label_names
    for thing, true in zip(scene.objects, folder.objects, strict=True):
        assert true.camera_from_object is not None
        assert true.mesh_path is not None
        placed = transformed(read_mesh(true.mesh_path, unit=true.mesh_unit), true.camera_from_object)
        expected = transformed(thing.mesh, camera_from_object(rendering, thing))
        assert surface_distance(placed, expected, samples=200) < 1e-6
        np.testing.assert_allclose(true.size, thing.size)


def test_a_sweep_without_its_pose_is_refused(tmp_path: Path, scene: Scene, rendering: Rendering) -> None:
    with pytest.raises(ValueError, match="camera_from_lidar"):
        write_frame_folder(tmp_path, scene, rendering, lidar=np.zeros((1, 4), np.float32))


def test_viewpoints_look_at_their_target_and_stand_upright() -> None:
    pose = viewpoint(0.8, 0.5, 0.6, target=(0.1, 0.2, 0.05))
    np.testing.assert_allclose(pose.apply_inverse([0.1, 0.2, 0.05]), [0, 0, 0.8], atol=1e-12)
    assert pose.rotation[2, 0] == pytest.approx(0.0), "the image's x axis is level"
    assert pose.rotation[2, 1] < 0, "the image's y axis points down"
    np.testing.assert_allclose(viewpoint(1.0, 0.0, 0.0, (0, 0, 0)).translation, [0, -1, 0], atol=1e-12)
    with pytest.raises(ValueError, match="no upright pose"):
        look_at((0, 0, 1), (0, 0, 0))


def test_an_arc_moves_in_even_steps_around_the_target() -> None:
    poses = arc(9, distance=0.7, target=(0.0, 0.0, 0.0))
    assert len(poses) == 9
    places = np.array([pose.translation for pose in poses])
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 0.7)
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0])


def test_a_view_of_all_sees_all(scene: Scene) -> None:
    pose = view_of_all(scene, CAMERA, np.random.default_rng(0), least_visible=0.6)
    shares = visible_shares(scene, CAMERA, pose)
    assert min(shares.values()) >= 0.6
    assert max(shares.values()) <= 1.0
    picture = render(scene, CAMERA, pose)
    assert set(np.unique(picture.labels)) >= set(scene.label_names)
    away = look_at((0.0, -1.0, 0.3), (0.0, -3.0, 0.3))
    assert set(visible_shares(scene, CAMERA, away).values()) == {0.0}
    with pytest.raises(ValueError, match="viewpoints"):
        view_of_all(scene, CAMERA, np.random.default_rng(0), least_visible=1.01)
