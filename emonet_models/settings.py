from pydantic import BaseModel, ConfigDict
from typing import Literal
class Settings(BaseModel):
    model_config=ConfigDict(frozen=True, extra="forbid")
    mels:int=64; window:float|None=2.0; filters:int=32; factor:int=1; blocks:int=2
    classifier:Literal["avgpool","FCNAttention"]="avgpool"; input_bn:bool=False
    dropout:tuple[float,float]=(0.,.5); head_dropout:float=.2; batch_norm_momentum:float=.99
    @property
    def window_samples(self): return None if self.window is None else round(self.window*16000)
