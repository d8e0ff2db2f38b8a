"""Object meshes with metric poses from RGB, instance masks and depth or LiDAR, as a ROS 2 package.

The messages of the package (``sam3d_ros.msg``, ``.srv``, ``.action``) are generated at build time into the
installation. With the checkout on the import path as well, the two folders are one package: the rooms come from the
checkout, the messages from the installation.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
