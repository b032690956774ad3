"""The kinds of plugin: one small class each. Standard library only.

To write a plugin, derive from one of these classes and declare it with the hook of its kind
(:mod:`shape_dnn.hookspecs`).
"""

from __future__ import annotations

from shape_dnn.kinds.choosing import AccuracyModel as AccuracyModel
from shape_dnn.kinds.choosing import Goal as Goal
from shape_dnn.kinds.choosing import Posterior as Posterior
from shape_dnn.kinds.choosing import Sampler as Sampler
from shape_dnn.kinds.choosing import Strategy as Strategy
from shape_dnn.kinds.data import Dataset as Dataset
from shape_dnn.kinds.data import EncodedImages as EncodedImages
from shape_dnn.kinds.data import Images as Images
from shape_dnn.kinds.data import LabelledImages as LabelledImages
from shape_dnn.kinds.declarations import Option as Option
from shape_dnn.kinds.declarations import OptionValue as OptionValue
from shape_dnn.kinds.declarations import Plugin as Plugin
from shape_dnn.kinds.deploying import BYTES as BYTES
from shape_dnn.kinds.deploying import Deployment as Deployment
from shape_dnn.kinds.deploying import Shipping as Shipping
from shape_dnn.kinds.deploying import Target as Target
from shape_dnn.kinds.meters import Conditions as Conditions
from shape_dnn.kinds.meters import Formula as Formula
from shape_dnn.kinds.meters import Instrument as Instrument
from shape_dnn.kinds.meters import Meter as Meter
from shape_dnn.kinds.meters import Workload as Workload
from shape_dnn.kinds.networks import Architecture as Architecture
from shape_dnn.kinds.networks import InputShape as InputShape
from shape_dnn.kinds.networks import Pretrained as Pretrained
from shape_dnn.kinds.running import Executor as Executor
from shape_dnn.kinds.running import Observer as Observer
from shape_dnn.kinds.running import Terminator as Terminator
from shape_dnn.kinds.tables import TableFile as TableFile
from shape_dnn.kinds.training import Resources as Resources
from shape_dnn.kinds.training import Run as Run
from shape_dnn.kinds.training import Saved as Saved
from shape_dnn.kinds.training import Trainer as Trainer
