"""ResNet-20 on CIFAR-10: 32 networks, mirror images and shifts by up to 4 pixels.

    python run_zoo.py run cifar-resnet --out zoos/cifar-resnet

60 epochs, for a GPU; not run at this size yet. On a CPU try a smaller network on fewer images, for two minutes: two
networks reached a test accuracy of .37 and .39 after these 6 epochs of a fifth of the images:

    python run_zoo.py train cifar-resnet --out zoos/small --task.batches 1 --model.channels "(8,16,32)" --model.blocks 1
        --training.steps 500 --training.warmup 50 --seeds 2
"""

from models import resnet
from zoo import Training, Zoo
from zoo.tasks import cifar10

zoo = Zoo(
    "cifar-resnet",
    task=cifar10.Task(shift=4.0, flip=0.5),
    model=resnet.Model(channels=(16, 32, 64), blocks=3),
    training=Training(
        optimizer="sgd",
        momentum=0.9,
        learning_rate=0.1,
        l2=1e-4,
        schedule="cosine",
        warmup=500,
        steps=23_400,
        batch=128,
    ),
    seeds=32,
)
